import { loadOptional } from '../../base/optional-package.ts'
import { lostAfterMs } from '../page/builders.ts'
import { reader } from './reading.ts'
import type { Figures } from '../../port/farm-view.ts'
import type { Gauge, Registry } from 'prom-client'
import type { RoutePart } from '../dashboard.ts'

/** For Prometheus: taken when somebody asks. */
export const metricsRoutes: RoutePart = (input) => async (server) => {
  const { farm } = input.options
  if (farm === undefined) return
  const prom = await loadOptional(async () => await import('prom-client'))
  const registry = new prom.Registry()
  prom.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 100 })
  const gauges = farmGauges(registry, (options) => new prom.Gauge(options))
  server.get('/metrics', async (request, reply) => {
    if ((await reader(input, request, reply)) === undefined) return
    setGauges(gauges, await farm.view.figures())
    await reply.type(registry.contentType).send(await registry.metrics())
  })
}

type Gauges = ReturnType<typeof farmGauges>
type MakeGauge = (options: { name: string; help: string; labelNames: string[]; registers: Registry[] }) => Gauge

function farmGauges(registry: Registry, make: MakeGauge) {
  const gauge = (name: string, help: string, ...labelNames: string[]): Gauge =>
    make({ name: `bindery_farm_${name}`, help, labelNames, registers: [registry] })
  return {
    builds: gauge('builds', 'Builds that something is still to happen to', 'branch', 'arch', 'state'),
    publishedToday: gauge('builds_published_day', 'Builds published within a day'),
    oldestWaiting: gauge('oldest_waiting_seconds', 'For how long the oldest build waits; 0 where none does'),
    oldestHandover: gauge('oldest_request_seconds', 'For how long the oldest request waits for a signature; 0 where none does'),
    sourcesReadable: gauge('sources_readable', 'Whether the last look at the sources of the branch succeeded', 'branch'),
    builderUp: gauge('builder_up', 'Whether the builder was heard of lately', 'builder', 'arch'),
    builderLoad: gauge('builder_load', 'Load of the builder', 'builder', 'arch'),
    mirrorCurrent: gauge('mirror_current', 'Whether the mirror has what is published', 'mirror', 'branch', 'arch'),
    mirrorLag: gauge('mirror_lag_seconds', 'How much older what the mirror has is', 'mirror', 'branch', 'arch'),
  }
}

function setGauges(gauges: Gauges, figures: Figures): void {
  const { at, counts, publishedToday, oldestWaiting, oldestHandover, branches, builders, sightings } = figures
  // What is gone must not stay.
  for (const gauge of Object.values(gauges)) gauge.reset()
  for (const { branch, arch, state, count } of counts) gauges.builds.set({ branch, arch, state }, count)
  gauges.publishedToday.set(publishedToday)
  gauges.oldestWaiting.set(oldestWaiting === undefined ? 0 : (at - oldestWaiting) / 1000)
  gauges.oldestHandover.set(oldestHandover === undefined ? 0 : (at - oldestHandover) / 1000)
  for (const { name, failure } of branches) gauges.sourcesReadable.set({ branch: name }, failure === undefined ? 1 : 0)
  for (const { name, arch, seen, load } of builders) {
    gauges.builderUp.set({ builder: name, arch }, seen !== undefined && at - seen <= lostAfterMs ? 1 : 0)
    if (load !== undefined) gauges.builderLoad.set({ builder: name, arch }, load)
  }
  for (const { mirror, branch, arch, state, lagSeconds } of sightings) {
    gauges.mirrorCurrent.set({ mirror, branch, arch }, state === 'current' ? 1 : 0)
    gauges.mirrorLag.set({ mirror, branch, arch }, lagSeconds ?? 0)
  }
}
