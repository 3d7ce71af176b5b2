import { utf8 } from '../base/bytes.ts'
import { sha256 } from '../base/digest.ts'
import type { Sha256 } from '../base/digest.ts'
import type { Clock, Random } from '../port/ambient.ts'
import type { Operator } from '../port/farm-catalog.ts'

/** A login of one browser. It lives in memory: whoever starts the server anew ends them all. */
export type Session = { readonly id: Sha256; readonly tokenHash: string; readonly csrf: string; readonly ends: number; lastUse: number }

export type Sessions = {
  /** What the browser shall keep. */
  open(operator: Operator): string
  find(cookie: string): Session | undefined
  close(session: Session): void
}

const hour = 3_600_000
export const sessionHours = { idle: 24, longest: 24 * 14 } as const
const mostSessions = 10_000

export function openSessions({ clock, random }: { readonly clock: Clock; readonly random: Random }): Sessions {
  const sessions = new Map<Sha256, Session>()
  const secret = (): string => Buffer.from(random.bytes(32)).toString('base64url')
  return {
    open: (operator) => {
      const oldest = sessions.keys().next()
      if (sessions.size >= mostSessions && oldest.done !== true) sessions.delete(oldest.value)
      const cookie = secret()
      const now = clock.now()
      // By its digest: what is read out of memory by mistake opens nothing.
      const id = sha256(utf8(cookie))
      sessions.set(id, { id, tokenHash: operator.tokenHash, csrf: secret(), ends: now + sessionHours.longest * hour, lastUse: now })
      return cookie
    },
    find: (cookie) => {
      const session = sessions.get(sha256(utf8(cookie)))
      const now = clock.now()
      if (session === undefined) return undefined
      if (now > session.ends || now > session.lastUse + sessionHours.idle * hour) {
        sessions.delete(session.id)
        return undefined
      }
      session.lastUse = now
      return session
    },
    close: (session) => void sessions.delete(session.id),
  }
}
