import { readChannelAccounts } from '../engine/repo/channel-account.ts'
import { farmView } from '../host/farm/view.ts'
import { fleetReports } from '../host/farm/fleet-reports.ts'
import { openRepositoryFolder } from '../host/repository-folder.ts'
import { readShared } from '../host/share.ts'
import { dashboard } from '../web/dashboard.ts'
import type { Farm } from '../host/farm/open.ts'
import type { DashboardFarm, DashboardOptions } from '../web/dashboard.ts'
import type { Assets } from '../web/route/assets.ts'
import type { RouteModule } from '../web/server.ts'
import type { Context } from './command.ts'

/** The pages of a farm, of a repository, or of both, for a web server (src/web/server.ts). */
export type DashboardInput = {
  readonly title: string
  readonly read: 'public' | 'token'
  readonly secure: boolean
  readonly farm?: FarmInput | undefined
  /** Its folder. */
  readonly repository?: string | undefined
}

export type FarmInput = {
  readonly folder: string
  readonly farm: Pick<Farm, 'engine' | 'catalog' | 'queue'>
  /** Whether people may act here, and machines report. */
  readonly acts: boolean
  readonly enroll: 'first-use' | 'known'
  readonly hook?: DashboardFarm['hook']
}

export async function dashboardRoutes(context: Pick<Context, 'clock' | 'random'>, input: DashboardInput): Promise<RouteModule> {
  const { title, read, secure, farm, repository } = input
  const { clock, random } = context
  const options: DashboardOptions = {
    title,
    read,
    secure,
    clock,
    random,
    assets: await assets(),
    farm: farm && farmOf(context, farm),
    channels: repository === undefined ? undefined : async () => await readChannelAccounts(await openRepositoryFolder(repository)),
  }
  return dashboard(options)
}

function farmOf({ clock }: Pick<Context, 'clock'>, { folder, farm, acts, enroll, hook }: FarmInput): DashboardFarm {
  const { engine, catalog, queue } = farm
  return {
    view: farmView({ db: engine.db, catalog, clock, folder }),
    operators: async () => await catalog.operators(),
    addEvent: async (event) => await catalog.addEvent(event),
    hook,
    ...(acts ? { controls: { ...catalog, ...queue }, reports: { enroll, ...fleetReports(engine.db, catalog) } } : {}),
  }
}

async function assets(): Promise<Assets> {
  const names = ['style.css', 'live.js', 'icon.svg'] as const
  const [style, live, icon] = await Promise.all(names.map(async (name) => await readShared(`web/${name}`)))
  return { 'style.css': style as string, 'live.js': live as string, 'icon.svg': icon as string }
}
