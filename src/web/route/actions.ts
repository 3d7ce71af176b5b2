import { BinderyError } from '../../base/error.ts'
import { fieldOf, takeForms } from './forms.ts'
import { wholeOf } from './reading.ts'
import type { FarmControls, RouteInput, RoutePart } from '../dashboard.ts'

/** What a person asked for by a form goes before what the farm thinks of by itself. */
export const personsPriority = 1000

type Act = (controls: FarmControls, name: string, actor: string) => Promise<void>

const ofBuilds: Readonly<Record<string, Act>> = {
  retry: async (controls, id, actor) => await controls.retry(wholeOf(id), actor),
  cancel: async (controls, id, actor) => await controls.cancel(wholeOf(id), actor),
  prioritise: async (controls, id, actor) => await controls.prioritise(wholeOf(id), personsPriority, actor),
}

const ofBuilders: Readonly<Record<string, Act>> = {
  pause: async (controls, name, actor) => await controls.pauseBuilder(name, true, actor),
  resume: async (controls, name, actor) => await controls.pauseBuilder(name, false, actor),
  quarantine: async (controls, name, actor) => await controls.quarantineBuilder(name, true, actor),
  release: async (controls, name, actor) => await controls.quarantineBuilder(name, false, actor),
}

const ofBranches: Readonly<Record<string, Act>> = {
  pause: async (controls, name, actor) => await controls.pauseBranch(name, true, actor),
  resume: async (controls, name, actor) => await controls.pauseBranch(name, false, actor),
}

export const actionRoutes: RoutePart = (input) => (server) => {
  const controls = input.options.farm?.controls
  if (controls === undefined) return
  takeForms(server)
  const things: readonly (readonly [string, Readonly<Record<string, Act>>, (name: string) => string])[] = [
    ['/builds', ofBuilds, (id) => `/builds/${id}`],
    ['/builders', ofBuilders, () => '/builders'],
    ['/branches', ofBranches, () => '/'],
  ]
  for (const [path, acts, back] of things) {
    server.post(`${path}/:name/:action`, async (request, reply) => {
      const { name, action } = request.params as { readonly name: string; readonly action: string }
      const actor = await actorOf(input, request)
      const act = Object.hasOwn(acts, action) ? acts[action] : undefined
      if (act === undefined) throw new BinderyError('not-found', 'there is no such action')
      await act(controls, name, actor)
      await reply.redirect(back(name), 303)
    })
  }
}

async function actorOf({ access }: RouteInput, request: Parameters<typeof fieldOf>[0]): Promise<string> {
  return access.actorOf(await access.callerOf(request), request, fieldOf(request, 'csrf'))
}
