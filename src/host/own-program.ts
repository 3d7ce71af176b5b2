import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { latin1 } from '../base/bytes.ts'
import { isBinderyError } from '../base/error.ts'
import { parseRelPath } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'
import type { Exec } from '../port/exec.ts'
import type { OwnProgram, ProgramThere } from '../port/own-program.ts'

/** Told to the bindery that this one becomes: what the run has come to so far. It becomes no third one. */
const variable = 'BINDERY_GOES_ON'

/** `root`: below which updates come. What was started is remembered from here on. */
export function ownProgram(root: string, version: string, exec: Exec): OwnProgram {
  const file = realPath(process.argv[1] ?? '')
  const bundles = join(dirname(dirname(file)), 'dist')
  const begunWith = /^[0-9]{1,3}$/.exec(process.env[variable] ?? '')?.[0]
  const paths = [file, bundles].flatMap((path) => below(root, path))
  const before = stampOf(bundles, file)
  return {
    version,
    paths,
    isOther: () => paths.length > 0 && stampOf(bundles, file) !== before,
    there: async () => await look(exec, callOf(file)),
    become: begunWith === undefined && process.execve !== undefined ? async (status) => await become(callOf(file), status) : undefined,
    begunWith: begunWith === undefined ? undefined : Number(begunWith),
  }
}

function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

function below(root: string, path: string): readonly RelPath[] {
  const found = parseRelPath(Buffer.from(relative(realPath(root), path)).toString('latin1'))
  return found === undefined || found === '.' ? [] : [found]
}

/** Of the first file of each bundle: the others have names by their contents. */
function stampOf(bundles: string, file: string): string {
  const files = [file, join(bundles, 'bindery.js'), join(bundles, 'bindery-client.js')]
  return files.map((one) => statSync(one, { throwIfNoEntry: false })?.ino ?? '-').join(' ')
}

/** The launcher finds the runtime anew, which may have come by the same update. */
function callOf(file: string): Call {
  const launcher = join(dirname(file), 'bindery')
  return basename(file) === 'start.cjs' ? [launcher] : [process.execPath, ...process.execArgv, file]
}

async function look(exec: Exec, [program, ...words]: Call): Promise<ProgramThere> {
  if (!existsSync(words.at(-1) ?? program)) return { kind: 'gone' }
  try {
    const { status, stdout, stderr } = await exec.run(program, [...words, '--version'])
    const version = /^bindery (\S+)\n$/.exec(latin1(stdout))?.[1]
    if (status === 0 && version !== undefined) return { kind: 'starts', version }
    return { kind: 'broken', why: `ends with status ${status}: ${latin1(stderr).split('\n')[0] ?? ''}` }
  } catch (error) {
    if (!isBinderyError(error)) throw error
    return { kind: 'broken', why: error.message }
  }
}

type Call = readonly [string, ...string[]]

async function become([program, ...words]: Call, status: number): Promise<never> {
  // What was said has to be out.
  for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write('', resolve))
  process.execve?.(program, [program, ...words, ...process.argv.slice(2)], { ...process.env, [variable]: String(status) })
  throw new Error('unreachable: execve came back')
}
