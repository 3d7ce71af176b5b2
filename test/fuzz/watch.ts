/** What the thread of the fuzzer judges just now, in memory that another thread sees: who does not end cannot tell it. */
export type Watch = { readonly facts: Int32Array; readonly bytes: Uint8Array }

const maxBytes = 1 << 20

export function sharedWatch(): SharedArrayBuffer {
  return new SharedArrayBuffer(12 + maxBytes)
}

/** Facts: the number of the input, zero where none is being judged, its length, and whose it is; itself stands behind them. */
export function watchIn(shared: SharedArrayBuffer): Watch {
  return { facts: new Int32Array(shared, 0, 3), bytes: new Uint8Array(shared, 12) }
}

export function noteInput({ facts, bytes }: Watch, decoder: number, input: Uint8Array): void {
  facts[0] = ((facts[0] as number) % 0x3fff_ffff) + 1
  facts[1] = Math.min(input.length, bytes.length)
  facts[2] = decoder
  bytes.set(input.subarray(0, bytes.length))
}

export function noteNone({ facts }: Watch): void {
  facts[0] = 0
}

export type Hanging = { readonly decoder: number; readonly input: Uint8Array }

/**
 * Answers the input that is still being judged after so many milliseconds of this process's time, looked at that often, or after ten times as
 * many of the clock's: it may be that nothing is done for it, or that the machine has other work. What it returns ends it.
 */
export function whenHanging({ facts, bytes }: Watch, every: number, tell: (hanging: Hanging) => void): () => void {
  let [last, looks, spent] = [-1, 0, process.cpuUsage()]
  const timer = setInterval(() => {
    const [number, length, decoder] = facts as unknown as [number, number, number]
    if (number !== last || number === 0) {
      last = number
      looks = 0
      spent = process.cpuUsage()
      return
    }
    const { user, system } = process.cpuUsage(spent)
    if ((user + system) / 1000 < every && ++looks < 10) return
    clearInterval(timer)
    tell({ decoder, input: bytes.slice(0, length) })
  }, every)
  return () => clearInterval(timer)
}
