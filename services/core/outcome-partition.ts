/**
 * The partition of chat.enriched for the outcomes of one partition of chat.events and chat.replay. chat.enriched has
 * few partitions of its own, so that its sink cuts few, large blocks (ADR 19).
 *
 * @param count partitions of chat.enriched, as the cluster has them.
 */
export const outcomePartition = (sourcePartition: number, count: number): number => sourcePartition % count;
