/**
 * What `work` gives, or after `ms` milliseconds what `late` gives (or throws). The work itself goes on; a rejection after
 * the bound is dropped.
 */
export async function within<T, L>(ms: number, work: Promise<T>, late: () => L): Promise<T | L> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const bound = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  try {
    return await Promise.race([work, bound.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}
