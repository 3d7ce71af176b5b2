/** Runs `work` on every item, at most `width` at a time. The first failure stops new work and is thrown when all that runs has ended. */
export async function inParallel<T>(items: Iterable<T>, width: number, work: (item: T) => Promise<void>): Promise<void> {
  const iterator = items[Symbol.iterator]()
  let failed = false
  let failure: unknown
  const worker = async (): Promise<void> => {
    while (!failed) {
      const { done, value } = iterator.next()
      if (done === true) return
      try {
        await work(value)
      } catch (error) {
        failure = failed ? failure : error
        failed = true
      }
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  if (failed) throw failure
}
