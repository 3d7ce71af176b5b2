import { BinderyError } from '../../base/error.ts'
import { decodeReport } from '../../format/report.ts'
import { verifyReport } from '../../engine/farm/fleet-report.ts'
import type { FleetReports, RoutePart } from '../dashboard.ts'
import type { Clock } from '../../port/ambient.ts'

const mostBytes = 64 << 10

/** Machines say here what they run (doc/spec/report.md); the signature is all that they are known by. */
export const reportRoutes: RoutePart =
  ({ options }) =>
  (server) => {
    const reports = options.farm?.reports
    if (reports === undefined) return
    server.removeAllContentTypeParsers()
    server.addContentTypeParser(
      '*',
      { parseAs: 'buffer', bodyLimit: mostBytes },
      async (_request: unknown, body: Buffer) => await Promise.resolve(new Uint8Array(body)),
    )
    server.post('/report', async (request, reply) => {
      if (!(request.body instanceof Uint8Array)) throw new BinderyError('bad-format', 'is empty')
      await take(reports, options.clock, request.body)
      await reply.code(204).send()
    })
  }

async function take(reports: FleetReports, clock: Clock, bytes: Uint8Array): Promise<void> {
  const signed = decodeReport(bytes)
  const known = await reports.known(signed.report.machine)
  await reports.put(verifyReport(signed, { known, enroll: reports.enroll, now: clock.now() }))
}
