import { BinderyError } from '../base/error.ts'
import { timestampKey } from '../engine/repo/layout.ts'
import { folderHandler, serveFolder } from '../host/http-server.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { sharedFlags } from './flags.ts'
import { certificateOf, tlsOptions } from './tls-options.ts'
import { addressOf, listenOption, untilStopped, usualAddress } from './listen.ts'
import type { ServeOptions } from '../host/http-server.ts'
import type { Command, Context } from './command.ts'

export const serve: Command = {
  name: 'serve',
  summary: 'serve a repository over HTTP',
  operands: '',
  operandCount: { min: 0, max: 0 },
  options: {
    repo: sharedFlags.repo,
    listen: listenOption,
    ...tlsOptions,
    dashboard: { kind: 'flag', help: 'also serve pages about its channels and releases' },
  },
  examples: [
    'bindery serve -r repo',
    'bindery -v serve -r repo --listen 0.0.0.0:8000',
    'bindery serve -r repo --dashboard',
    'bindery serve -r repo --listen :8443 --tls-cert cert.pem --tls-key key.pem',
  ],
  run: async (context, input) => {
    const folder = input.required('repo')
    const address = addressOf(input.value('listen') ?? usualAddress)
    const store = await openRepositoryFolder(folder)
    // The wrong folder would answer 404 to everything.
    if ((await store.size(timestampKey)) === undefined)
      throw new BinderyError('not-found', 'holds no repository', { subject: folder, hint: "make one with 'bindery init'" })
    const options = { folder, ...address, log: context.explain, tls: await certificateOf(context, input) }
    const server = input.flag('dashboard') ? await serveWithPages(context, options) : await serveFolder(options)
    await context.out(`${server.url}\n`)
    await untilStopped(context.signal)
    await server.close()
    return 0
  },
}

/** Whatever is no page is a file of the repository. */
async function serveWithPages(context: Context, options: ServeOptions): ReturnType<typeof serveFolder> {
  const { folder, tls } = options
  const [{ startWebServer }, { dashboardRoutes }] = await Promise.all([import('../web/server.ts'), import('./dashboard.ts')])
  const pages = await dashboardRoutes(context, { title: 'bindery', read: 'public', secure: tls !== undefined, repository: folder })
  const files = folderHandler({ folder })
  return await startWebServer({ ...options, modules: [pages], otherwise: files })
}
