import { BinderyError } from '../base/error.ts'
import { timestampKey } from '../engine/repo/layout.ts'
import { serveFolder } from '../host/http-server.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { sharedFlags } from './flags.ts'
import type { Command } from './command.ts'

const usualAddress = '127.0.0.1:8080'

export const serve: Command = {
  name: 'serve',
  summary: 'serve a repository over HTTP',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    listen: { kind: 'value', value: 'HOST:PORT', help: `where to listen; port 0 takes a free one (default: ${usualAddress})` },
  },
  examples: ['bindery serve -r repo', 'bindery -v serve -r repo --listen 0.0.0.0:8000'],
  run: async (context, input) => {
    const folder = input.required('repo')
    const address = addressOf(input.value('listen') ?? usualAddress)
    const store = await openRepositoryFolder(folder)
    // The wrong folder would answer 404 to everything.
    if ((await store.size(timestampKey)) === undefined)
      throw new BinderyError('not-found', 'holds no repository', { subject: folder, hint: "make one with 'bindery init'" })
    const server = await serveFolder({ folder, ...address, log: context.explain })
    await context.out(`${server.url}\n`)
    await new Promise<void>((resolve) => {
      if (context.signal.aborted) resolve()
      context.signal.addEventListener('abort', () => resolve(), { once: true })
    })
    await server.close()
    return 0
  },
}

function addressOf(text: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]*)):([0-9]{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65_535) throw new BinderyError('usage', `--listen takes HOST:PORT, not '${text}'`)
  const host = match[1] ?? match[2] ?? ''
  return { host: host === '' ? '127.0.0.1' : host, port }
}
