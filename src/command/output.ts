import { isBrokenPipe } from '../base/error.ts'
import { writeFileAtomically } from '../host/source.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Context } from './command.ts'

/** For verbs that do something, or judge: they come to their end also when the reader of their output goes away. */
export async function print(context: Pick<Context, 'out'>, text: Uint8Array | string): Promise<void> {
  try {
    await context.out(text)
  } catch (error) {
    if (!isBrokenPipe(error)) throw error
  }
}

/** What `-o FILE` and stdout (`-`) have in common; answers how many bytes there were. */
export async function writeOutput(context: Context, output: string, content: ByteStream): Promise<number> {
  // Asked for before a file is made aside: from the first moment on, a signal takes it away again.
  context.signal.throwIfAborted()
  if (output !== '-') return await writeFileAtomically(output, content)
  let size = 0
  for await (const bytes of content) {
    await context.out(bytes)
    size += bytes.length
  }
  return size
}
