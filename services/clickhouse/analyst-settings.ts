/**
 * Settings that an analyst may set: bounds on its own query, how it is executed, and how text comes out. Everything else
 * is refused, since settings name files (`format_schema`, `format_template_row`), hold expressions
 * (`additional_table_filters`) and change the parser (`dialect`).
 */
// biome-ignore format: one line a handful
const NAMES: ReadonlySet<string> = new Set([
  // Bounds; the engine holds them to those of the user.
  'max_execution_time', 'max_memory_usage', 'max_result_rows', 'max_result_bytes', 'max_rows_to_read',
  'max_bytes_to_read', 'max_rows_to_group_by', 'max_rows_to_sort', 'max_bytes_to_sort', 'max_rows_in_join',
  'max_bytes_in_join', 'max_rows_in_set', 'max_bytes_in_set', 'max_rows_in_distinct', 'max_bytes_in_distinct',
  'read_overflow_mode', 'result_overflow_mode', 'timeout_overflow_mode', 'group_by_overflow_mode', 'sort_overflow_mode',
  'join_overflow_mode', 'distinct_overflow_mode', 'set_overflow_mode', 'timeout_before_checking_execution_speed',
  'max_threads', 'max_block_size', 'preferred_block_size_bytes', 'limit', 'offset', 'extremes', 'final', 'readonly',
  'max_bytes_before_external_group_by', 'max_bytes_before_external_sort',
  // Meaning.
  'session_timezone', 'join_algorithm', 'join_use_nulls', 'join_default_strictness', 'union_default_mode',
  'except_default_mode', 'intersect_default_mode', 'transform_null_in', 'aggregate_functions_null_for_empty',
  'cast_keep_nullable', 'count_distinct_implementation', 'prefer_column_name_to_alias', 'group_by_use_nulls',
  'asterisk_include_alias_columns', 'asterisk_include_materialized_columns', 'enable_analyzer',
  'allow_experimental_analyzer', 'date_time_input_format', 'date_time_output_format', 'enable_named_columns_in_tuple',
  'show_table_uuid_in_table_create_query_if_not_nil', 'describe_compact_output', 'describe_include_subcolumns',
  'use_uncompressed_cache', 'empty_result_for_aggregation_by_empty_set', 'totals_mode', 'use_variant_as_common_type',
  'allow_experimental_variant_type', 'allow_experimental_dynamic_type', 'allow_experimental_json_type',
  'allow_experimental_object_type', 'enable_json_type', 'enable_dynamic_type', 'enable_variant_type',
  // What clients send along with every query.
  'log_comment', 'log_queries', 'log_profile_events', 'connect_timeout', 'receive_timeout', 'send_timeout',
  'http_receive_timeout', 'http_send_timeout', 'http_connection_timeout', 'cancel_http_readonly_queries_on_client_close',
  'async_insert', 'wait_for_async_insert', 'insert_distributed_sync', 'insert_deduplicate', 'mutations_sync',
  'database_atomic_wait_for_drop_and_detach_synchronously', 'send_logs_level', 'send_timeout_milliseconds',
  'query_cache_ttl', 'cast_string_to_dynamic_use_inference', 'allow_suspicious_low_cardinality_types', 'network_compression_method', 'network_zstd_compression_level',
  'http_write_exception_in_output_format', 'interactive_delay', 'input_format_null_as_default',
]);

/** Families whose members shape text alone. */
const FAMILIES =
  /^(?:optimize_\w+|output_format_(?:json|csv|tsv|pretty|parquet|arrow|orc|native|decimal|values|markdown|binary|compression|bson|xml)_\w+|format_(?:csv|tsv)_\w+|format_binary_max_\w+|input_format_(?:json|csv|tsv|binary)_\w+|cross_join_\w+|join_on_disk_\w+)$/;

export const mayAnalystSet = (name: string): boolean => NAMES.has(name) || FAMILIES.test(name);
