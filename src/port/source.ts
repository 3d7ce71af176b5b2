/** Random access to bytes that do not change while they are read: a file, or memory. */
export type ByteSource = {
  readonly size: number
  /** How errors name it. */
  readonly label?: string
  /** Exactly the bytes [start, end), which lie within the size; in `room`, if they have to be put somewhere and it is large enough. */
  read(start: number, end: number, room?: Uint8Array): Promise<Uint8Array>
}

/** Keeps a stream aside for random access, in a temporary file or in memory, until it is closed. */
export type Spool = (stream: AsyncIterable<Uint8Array>) => Promise<ByteSource & { close(): Promise<void> }>
