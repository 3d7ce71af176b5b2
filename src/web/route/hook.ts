import { BinderyError } from '../../base/error.ts'
import type { RoutePart } from '../dashboard.ts'

/** For repositories that can say when something was committed. What they send is not read: the farm looks itself. */
export const hookRoutes: RoutePart =
  ({ options, access }) =>
  (server) => {
    const hook = options.farm?.hook
    if (hook === undefined) return
    server.removeAllContentTypeParsers()
    server.addContentTypeParser('*', { parseAs: 'buffer' }, async () => await Promise.resolve(undefined))
    server.post('/hook/:branch', async (request, reply) => {
      const caller = await access.callerOf(request)
      // A foreign page could send this form along with a remembered password, and would make the farm look, which it does anyway.
      if (caller.kind === 'nobody') throw new BinderyError('permission', 'a token is needed')
      await hook((request.params as { readonly branch: string }).branch)
      await reply.code(202).send('looking\n')
    })
  }
