import { fromLatin1, latin1 } from '../../../base/bytes.ts'
import { announcedPort } from './package-names.ts'

/**
 * Divides what make prints by the ports that it announces, as it comes. What stands before the first port belongs to none.
 * A line is one of some port once its end is there.
 */
export function portLogs(ports: ReadonlySet<string>, write: (pkgpath: string, bytes: Uint8Array) => void): PortLogs {
  let current: string | undefined
  let rest = ''
  const take = (text: string): void => {
    const announced = announcedPort(text.replace(/\r?\n$/, ''))
    if (announced !== undefined && ports.has(announced)) current = announced
    if (current !== undefined) write(current, fromLatin1(text))
  }
  return {
    add: (bytes) => {
      const lines = (rest + latin1(bytes)).split(/(?<=\n)/)
      rest = lines.at(-1)?.endsWith('\n') === true ? '' : (lines.pop() ?? '')
      for (const line of lines) take(line)
    },
    end: () => {
      if (rest !== '') take(rest)
      rest = ''
    },
    current: () => current,
  }
}

export type PortLogs = {
  add(bytes: Uint8Array): void
  end(): void
  /** The port that is being built. */
  current(): string | undefined
}
