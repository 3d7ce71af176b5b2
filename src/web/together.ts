/**
 * When something happens, all who watch ask at once: one answer is for all of them. Whoever asks while one is being made gets the
 * next, since that one may have begun before what he was told of.
 */
export function together<T>(load: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  let next: Promise<T> | undefined
  const start = async (): Promise<T> => {
    next = undefined
    running = load()
    try {
      return await running
    } finally {
      running = undefined
    }
  }
  return async () => {
    if (running === undefined) return await start()
    next ??= running.then(start, start)
    return await next
  }
}
