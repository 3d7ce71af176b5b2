import { resolve } from 'node:path'
import { about } from '../base/about.ts'
import { BinderyError } from '../base/error.ts'
import { utf8Text } from '../base/utf8-text.ts'
import { openInput } from '../host/source.ts'
import { openFarmAt, readFarmConfig } from './farm-open.ts'
import type { ByteStream } from '../base/bytes.ts'
import type { Command } from './command.ts'

export const farmImport: Command = {
  name: 'farm import',
  summary: 'fill an empty farm with what farm export wrote',
  operands: 'FARM [FILE]',
  operandCount: { min: 1, max: 2 },
  options: {},
  examples: [
    'DATABASE_URL=postgresql:///farm bindery farm import /var/farm farm.jsonl',
    'bindery farm export /var/farm | ssh other bindery farm import /var/farm',
  ],
  run: async (context, input) => {
    const [operand, file = '-'] = input.operands as [string, string?]
    const folder = resolve(operand)
    const farm = await openFarmAt(context, folder, 'farm import', await readFarmConfig(folder))
    try {
      const content = await openInput(file, context.stdin)
      const count = await about(file === '-' ? 'standard input' : file, async () => await farm.importFrom(linesOf(content)))
      context.say(`${count} records`)
    } finally {
      await farm.close()
    }
    return 0
  },
}

const maxLine = 64 << 20

/** Without their ends. Throws `bad-format` for what is no text, or is cut off, `over-limit`. */
export async function* linesOf(content: ByteStream): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const bytes of content) {
    rest = Buffer.concat([rest, bytes])
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      yield utf8Text(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
    if (rest.length > maxLine) throw new BinderyError('over-limit', `has a line of more than ${maxLine} bytes`)
  }
  if (rest.length > 0) throw new BinderyError('bad-format', 'ends in the middle of a line')
}
