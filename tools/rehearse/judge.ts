import { spawn } from 'node:child_process'

/** What a tree is, path by path, as find(1) and sha256sum(1) see it: kind, mode, owner, size, time, link, content, hard links. */
export type Description = ReadonlyMap<string, string>

type Fact = { readonly path: string; readonly file: string; readonly version: string; readonly kind: string; readonly rest: string }

/** A file is read once: whoever writes to it later changes its change time, which nobody sets. */
const digests = new Map<string, string>()

export async function describe(root: string): Promise<Description> {
  const facts = records(await shell(root, find)).map((line): Fact => {
    const [path = '', file = '', version = '', kind = '', rest = ''] = line.split('\t')
    return { path, file, version: `${file} ${version}`, kind, rest }
  })
  await readUnknown(root, facts)
  const names = Map.groupBy(facts, ({ file }) => file)
  const linksOf = ({ kind, file }: Fact): readonly string[] => (kind === 'd' ? [] : (names.get(file) ?? []).map(({ path }) => path).sort())
  return new Map(facts.map((fact) => [fact.path, [fact.kind, fact.rest, digests.get(fact.version) ?? '', ...linksOf(fact)].join(' ')]))
}

async function readUnknown(root: string, facts: readonly Fact[]): Promise<void> {
  const unknown = facts.filter(({ kind, version }) => kind === 'f' && !digests.has(version))
  const versions = new Map(unknown.map(({ path, version }) => [path, version]))
  const sums = await shell(root, 'xargs -0 -r sha256sum -z --', unknown.map(({ path }) => `${path}\0`).join(''))
  for (const line of records(sums)) digests.set(versions.get(line.slice(66)) ?? '', line.slice(0, 64))
}

// The time of a folder is that of the newest name in it, whoever made that: see bindery-audit(1).
const find = `find . -path ./var/db -prune -o -printf '%P\\t%D:%i\\t%C@\\t%y\\t%m %U %G %l' \\( -type d -printf '\\0' -o -printf ' %s %T@\\0' \\)`

/** What the system itself makes anew behind each update, or leaves half made when it is killed with the install: neither compared nor counted. */
const generated =
  /^(?:etc\/ld\.so\.cache|usr\/lib\/udev\/(?:hwdb\.bin|\.#hwdb\.bin[A-Za-z0-9]{6})|var\/cache\/ldconfig(?:\/.*)?|usr\/lib\/modules\/[^/]+\/modules\.(?:devname|softdep|(?:alias|builtin|builtin\.alias|dep|symbols)(?:\.bin)?)(?:\.\d+\.\d+\.\d+)?)$/

export function differences(seen: Description, wanted: Description): readonly string[] {
  const paths = [...new Set([...seen.keys(), ...wanted.keys()])].filter((path) => !generated.test(path)).sort()
  return paths
    .filter((path) => seen.get(path) !== wanted.get(path))
    .map((path) => `${path}: ${seen.get(path) ?? 'missing'} instead of ${wanted.get(path) ?? 'nothing'}`)
}

function records(text: string): readonly string[] {
  return text.split('\0').filter((line) => line !== '')
}

async function shell(cwd: string, script: string, input = ''): Promise<string> {
  const child = spawn('bash', ['-o', 'pipefail', '-c', script], { cwd, env: { ...process.env, LC_ALL: 'C' } })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.pipe(process.stderr)
  child.stdin.end(input, 'latin1')
  const status = await new Promise((done) => child.once('close', done))
  if (status !== 0) throw new Error(`${script}: exit status ${String(status)}`)
  return Buffer.concat(chunks).toString('latin1')
}
