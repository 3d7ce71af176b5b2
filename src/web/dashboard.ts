import { openAccess } from './access.ts'
import { actionRoutes } from './route/actions.ts'
import { assetRoutes } from './route/assets.ts'
import { feedRoutes } from './route/feeds.ts'
import { hookRoutes } from './route/hook.ts'
import { liveRoutes } from './route/live.ts'
import { metricsRoutes } from './route/metrics.ts'
import { pageRoutes } from './route/pages.ts'
import { reportRoutes } from './route/report.ts'
import { sessionRoutes } from './route/session.ts'
import type { ChannelAccount } from '../engine/repo/channel-account.ts'
import type { Clock, Random } from '../port/ambient.ts'
import type { FarmCatalog, NewEvent, Operator, Report } from '../port/farm-catalog.ts'
import type { FarmQueue } from '../port/farm-queue.ts'
import type { FarmView } from '../port/farm-view.ts'
import type { Access } from './access.ts'
import type { Assets } from './route/assets.ts'
import type { RouteModule } from './server.ts'

export type DashboardOptions = {
  readonly title: string
  readonly farm?: DashboardFarm | undefined
  /** The releases of a repository, verified. */
  readonly channels?: (() => Promise<readonly ChannelAccount[]>) | undefined
  readonly read: 'public' | 'token'
  /** Whether browsers come by https: then the cookie goes no other way. */
  readonly secure: boolean
  readonly clock: Clock
  readonly random: Random
  readonly assets: Assets
}

export type DashboardFarm = {
  readonly view: FarmView
  readonly operators: () => Promise<readonly Operator[]>
  /** Absent where the farm can only be looked at. */
  readonly controls?: FarmControls | undefined
  readonly addEvent: (event: NewEvent) => Promise<void>
  /** Absent where machines do not report here. */
  readonly reports?: FleetReports | undefined
  /** The sources of a branch may have changed; `not-found` for no branch. */
  readonly hook?: ((branch: string) => Promise<void>) | undefined
}

/** What a person may ask of a farm; each call refuses what the state does not allow, and leaves its line in the trail. */
export type FarmControls = Pick<FarmQueue, 'cancel' | 'retry' | 'prioritise'> &
  Pick<FarmCatalog, 'pauseBuilder' | 'quarantineBuilder' | 'pauseBranch'>

export type FleetReports = {
  /** Whether a machine that was never heard of is believed, and its key from then on. */
  readonly enroll: 'first-use' | 'known'
  known(machine: string): Promise<{ readonly key: string; readonly last: number } | undefined>
  put(reports: readonly Report[]): Promise<void>
}

/** All of the dashboard's routes. */
export function dashboard(options: DashboardOptions): RouteModule {
  return async (server) => {
    const access = openAccess({ ...options, operators: options.farm?.operators ?? (async () => await Promise.resolve([])) })
    const parts: readonly RoutePart[] = [
      assetRoutes,
      pageRoutes,
      feedRoutes,
      liveRoutes,
      sessionRoutes,
      actionRoutes,
      reportRoutes,
      hookRoutes,
      metricsRoutes,
    ]
    for (const part of parts) await server.register(async (scope) => await part({ options, access })(scope))
  }
}

export type RouteInput = { readonly options: DashboardOptions; readonly access: Access }
export type RoutePart = (input: RouteInput) => RouteModule
