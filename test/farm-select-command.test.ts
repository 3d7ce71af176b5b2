import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { needs } from './helpers/programs.ts'
import { inTemporary } from './helpers/temporary.ts'

const bindery = resolve('bin/bindery')

type Run = { readonly status: number | null; readonly stdout: string; readonly stderr: string }

function select(words: readonly string[], input = ''): Run {
  const { status, stdout, stderr } = spawnSync(bindery, ['farm', 'select', ...words], { encoding: 'utf8', input })
  return { status, stdout, stderr }
}

/** A release and a stable branch with three commits, in CVS; sqlports of the release. */
function plantPorts(folder: string): { cvs: string; sqlports: string } {
  const [root, work, first, sqlports] = ['cvs', 'work', 'first', 'sqlports'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  const cvs = (cwd: string, ...words: readonly string[]): void =>
    void execFileSync('cvs', ['-Q', '-d', root, ...words], { cwd, stdio: ['ignore', 'ignore', 'inherit'] })
  for (const path of ['net/curl/Makefile', 'editors/vim/Makefile', 'net/Makefile', 'lang/ada/Makefile']) {
    mkdirSync(dirname(join(first, path)), { recursive: true })
    writeFileSync(join(first, path), '1\n')
  }
  cvs(folder, 'init')
  cvs(first, 'import', '-m', 'i', 'ports', 'V', 'T')
  cvs(folder, 'co', '-d', 'work', 'ports')
  cvs(work, 'tag', 'R_BASE')
  cvs(work, 'tag', '-b', 'R')
  cvs(work, 'up', '-r', 'R')
  for (const [path, message] of [
    ['net/curl/Makefile', 'update to 8.5.0'],
    ['editors/vim/Makefile', 'heap overflow: CVE-2023-4781'],
    ['net/Makefile', '+new'],
    ['lang/ada/Makefile', 'bump'],
  ] as const) {
    writeFileSync(join(work, path), '2\n')
    cvs(work, 'ci', '-m', message, path)
  }
  const database = new DatabaseSync(sqlports)
  database.exec(`CREATE TABLE Paths (FULLPKGPATH TEXT, PKGPATH TEXT); CREATE TABLE OnlyForArch (FULLPKGPATH TEXT, VALUE TEXT);
    INSERT INTO Paths VALUES ('net/curl', 'net/curl'), ('editors/vim', 'editors/vim'), ('editors/vim,-lang', 'editors/vim'),
      ('editors/vim,gtk3,-main', 'editors/vim'), ('lang/ada', 'lang/ada');
    INSERT INTO OnlyForArch VALUES ('lang/ada', 'amd64')`)
  database.close()
  return { cvs: root, sqlports }
}

test('from a commit to the list of packages, through cvs and sqlports', needs('cvs'), async () => {
  await inTemporary(async (folder) => {
    const { cvs, sqlports } = plantPorts(folder)
    const asked = ['--cvs', cvs, '--from', 'R_BASE', '--to', 'R', '--sqlports', sqlports]
    assert.deepEqual(select([...asked, '--arch', 'amd64']), {
      status: 0,
      stdout: 'editors/vim\neditors/vim,-lang\neditors/vim,gtk3,-main\nlang/ada\nnet/curl\n',
      stderr: '',
    })
    const arm = select([...asked, '--arch', 'arm64', '--explain'])
    assert.equal(arm.stdout, 'editors/vim\neditors/vim,-lang\neditors/vim,gtk3,-main\nnet/curl\n')
    const said = arm.stderr.replaceAll('bindery: farm select: ', '').trim().split('\n')
    assert.deepEqual(said, [
      'net/Makefile: of a category, not of a port',
      'editors/vim: editors/vim/Makefile changed',
      'editors/vim: security: CVE-2023-4781; heap overflow: CVE-2023-4781',
      'lang/ada: lang/ada/Makefile changed',
      'lang/ada: left out: only for amd64',
      'lang/ada: nothing of it can be built: only for amd64',
      'net/curl: net/curl/Makefile changed',
    ])
    const json = select([...asked, '--json'])
      .stdout.trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(
      json.map(({ pkgpath, security }) => [pkgpath, security !== undefined]),
      [
        ['editors/vim', true],
        ['lang/ada', false],
        ['net/curl', false],
      ],
    )
    const cves = join(folder, 'cves')
    writeFileSync(cves, '# kept by hand\nCVE-2023-46218 net/curl # cookies\n')
    assert.match(select([...asked, '--cves', cves, '--json']).stdout, /"pkgpath":"net\/curl".*CVE-2023-46218/)
    const wrong = select(['--cvs', cvs, '--from', 'R_BASE', '--to', 'NONE'])
    assert.deepEqual(wrong, { status: 1, stdout: '', stderr: `bindery: farm select: ${cvs}: has no tag 'NONE'\n` })
  })
})

test('what cvs rdiff printed can be piped in; half of it is no list', () => {
  const whole = 'File ports/net/curl/Makefile changed from revision 1.1 to 1.1.2.1\n'
  assert.deepEqual(select(['--rdiff', '-'], whole), { status: 0, stdout: 'net/curl\n', stderr: '' })
  assert.deepEqual(select(['--rdiff', '-'], ''), { status: 0, stdout: '', stderr: '' })
  for (const [input, said] of [
    [`${whole}File ports/net/cu`, 'ends in the middle of a line'],
    [`${whole}cvs rdiff: something else\n`, 'line 2 is no line of cvs rdiff'],
    ['File src/bin/ls/ls.c changed from revision 1.1 to 1.2\n', "is not in the module 'ports'"],
  ] as const) {
    const { status, stdout, stderr } = select(['--rdiff', '-'], input)
    assert.deepEqual({ status, stdout }, { status: 3, stdout: '' })
    assert.match(stderr, new RegExp(said))
  }
})

test('a group of verbs says what it has', () => {
  const alone = spawnSync(bindery, ['farm'], { encoding: 'utf8' })
  assert.equal(alone.status, 2)
  assert.match(alone.stderr, /'farm' is followed by a second word\nbindery: hint: there is .*farm select/)
  assert.match(spawnSync(bindery, ['farm', 'selct'], { encoding: 'utf8' }).stderr, /no verb 'farm selct'/)
})
