/**
 * Tables of the database `system` that describe the engine, the schema and the data, which clients and their metadata
 * calls read. All other tables of the engine, those of a later version included once they stand below, are empty for an
 * analyst: they show other users' queries and errors, paths, keys and what the server is made of.
 */
// biome-ignore format: one line a handful
export const OPEN_SYSTEM_TABLES: readonly string[] = [
  'aggregate_function_combinators', 'build_options', 'codecs', 'collations', 'columns', 'constraints', 'contributors',
  'current_roles', 'data_skipping_index_types', 'data_skipping_indices', 'data_type_families', 'database_engines',
  'databases', 'dictionaries', 'disk_types', 'documentation', 'enabled_roles', 'formats', 'functions', 'keywords', 'licenses',
  'completions', 'clusters', 'macros', 'merge_tree_settings', 'numbers', 'numbers_mt', 'one', 'parts', 'parts_columns',
  'primes', 'privileges', 'projection_parts', 'projection_parts_columns', 'projections', 'settings', 'table_engines',
  'table_functions', 'tables', 'time_zones', 'tokenizers', 'unicode', 'zeros', 'zeros_mt', 'dictionary_layouts',
  'dictionary_sources', 'replicated_merge_tree_settings', 'detached_tables', 'view_refreshes',
];

/** Every other table of engine 26.7; a test finds those that a later engine adds. */
// biome-ignore format: one line a handful
export const CLOSED_SYSTEM_TABLES: readonly string[] = [
  'asynchronous_inserts', 'asynchronous_loader', 'azure_queue_metadata_cache', 'azure_queue_settings',
  'background_schedule_pool', 'backups', 'certificates', 'dashboards', 'database_replicas', 'detached_parts',
  'dimensional_metrics', 'disks', 'distributed_ddl_queue', 'distribution_queue', 'dns_cache', 'dropped_tables',
  'dropped_tables_parts', 'errors', 'events', 'fail_points', 'filesystem_cache', 'filesystem_cache_settings', 'grants',
  'graphite_retentions', 'histogram_metrics', 'hypothetical_indexes', 'iceberg_files', 'iceberg_history', 'jemalloc_bins',
  'jemalloc_profile_text', 'jemalloc_stats', 'kafka_consumers', 'masking_policies', 'merges', 'metrics', 'models', 'moves',
  'mutations', 'named_collections', 'part_moves_between_shards', 'processes', 'query_cache', 'query_condition_cache',
  'quota_limits', 'quota_usage', 'quotas', 'quotas_usage', 'remote_data_paths', 'replicas', 'replicated_fetches',
  'replication_queue', 'resources', 'rocksdb', 'role_grants', 'roles', 'row_policies', 's3_queue_settings',
  's3queue_metadata_cache', 'scheduler', 'schema_inference_cache', 'server_settings', 'settings_changes',
  'settings_profile_elements', 'settings_profiles', 'stack_trace', 'storage_policies', 'symbols', 'user_defined_functions',
  'user_directories', 'user_processes', 'users', 'warnings', 'workloads',
];
