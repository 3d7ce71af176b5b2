import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'
import { exitStatusOf, isBinderyError, type ErrorCode } from '../src/base/error.ts'
import { commandHelp } from '../src/command/help.ts'
import { parseInput, splitLine } from '../src/command/parse.ts'
import { verbs } from '../src/command/verbs.ts'
import manifest from '../package.json' with { type: 'json' }
import { everyThird } from './helpers/whole-suite.ts'
import type { Command } from '../src/command/command.ts'

/** Any verb: reading its command line needs no world. */
const bind: Command = {
  name: 'bind',
  summary: 'Bind sheets into a book',
  operands: 'SHEET ...',
  operandCount: { min: 1, max: 3 },
  options: {
    output: { kind: 'value', short: 'o', value: 'FILE', help: 'write to FILE' },
    'dry-run': { kind: 'flag', short: 'n', help: 'do nothing' },
    thread: { kind: 'list', value: 'COLOUR', help: 'sew with COLOUR' },
  },
  examples: ['bindery bind a b -o book'],
  run: () => Promise.resolve(0),
}

function usage(read: () => unknown, message: RegExp, hint?: RegExp): void {
  assert.throws(read, (error) => {
    assert.ok(isBinderyError(error, 'usage'))
    assert.match(error.message, message)
    if (hint === undefined) assert.equal(error.hint, undefined)
    else assert.match(error.hint ?? '', hint)
    return true
  })
}

function run(args: readonly string[], stdin: 'ignore' | 'pipe' = 'ignore') {
  const done = spawnSync(resolve('bin/bindery'), args, { encoding: 'utf8', stdio: [stdin, 'pipe', 'pipe'] })
  return { status: done.status, stdout: done.stdout, stderr: done.stderr }
}

test('globals, the verb, and its words', () => {
  const line = splitLine(['-q', '-C', '/mnt', '--config=x', 'bind', '-n', 'sheet'])
  assert.equal(line.verb, 'bind')
  assert.deepEqual(line.rest, ['-n', 'sheet'])
  assert.equal(line.globals.value('root'), '/mnt')
  assert.equal(line.globals.value('config'), 'x')
  assert.equal(line.globals.flag('quiet'), true)
  assert.equal(splitLine(['-qC', '/mnt', 'bind']).globals.value('root'), '/mnt')
  assert.equal(splitLine(['-C/mnt', 'bind']).globals.value('root'), '/mnt')
  assert.equal(splitLine([]).verb, undefined)
})

test('flags stand before, between and after operands; -- ends them', () => {
  const input = parseInput(bind, ['a', '-n', 'b', '-obook', '--thread', 'red', '--thread=blue', '--', '-c'])
  assert.deepEqual(input.operands, ['a', 'b', '-c'])
  assert.equal(input.flag('dry-run'), true)
  assert.equal(input.value('output'), 'book')
  assert.deepEqual(input.list('thread'), ['red', 'blue'])
  assert.equal(parseInput(bind, ['-', '-o', '-']).value('output'), '-')
})

test('usage errors name what is wrong, and what was meant', () => {
  usage(() => parseInput(bind, []), /^an operand is missing$/)
  usage(() => parseInput(bind, ['a', 'b', 'c', 'd']), /^unexpected operand 'd'$/)
  usage(() => parseInput(bind, ['a', '-z']), /^unknown option '-z'$/)
  usage(() => parseInput(bind, ['a', '--dryrun']), /^unknown option '--dryrun'$/, /did you mean --dry-run\?/)
  usage(() => parseInput(bind, ['a', '--otuput=x']), /^unknown option '--otuput'$/, /did you mean --output\?/)
  usage(() => parseInput(bind, ['a', '-o']), /^option '-o, --output <value>' argument missing$/)
  usage(() => parseInput(bind, ['a', '-o', '-n']), /^option '-o' argument is ambiguous$/)
  usage(() => parseInput(bind, ['a', '--dry-run=yes']), /does not take an argument$/)
  usage(() => parseInput(bind, ['a']).required('output'), /^--output is missing$/)
  usage(() => parseInput(bind, ['a', '-v']), /^unknown option '-v'$/, /^-v stands before the verb$/)
  usage(() => parseInput(bind, ['a', '--root', '/']), /^unknown option '--root'$/, /^--root stands before the verb$/)
  usage(() => splitLine(['--quet', 'bind']), /^unknown option '--quet'$/, /did you mean --quiet\?/)
})

test('a verb cannot ask for an option that its table does not have', () => {
  const input = parseInput(bind, ['a'])
  assert.throws(() => input.flag('output'), /no option 'output' of kind flag/)
  assert.throws(() => input.value('colour'), /no option 'colour'/)
})

test('the help of a verb', () => {
  assert.equal(
    commandHelp(bind),
    `usage: bindery bind [flags] SHEET ...

Bind sheets into a book.

  -o, --output FILE    write to FILE
  -n, --dry-run        do nothing
      --thread COLOUR  sew with COLOUR
  -h, --help           show this help

examples:
  bindery bind a b -o book
`,
  )
})

test('--version and --help go to stdout', () => {
  assert.deepEqual(run(['--version']), { status: 0, stdout: `bindery ${manifest.version}\n`, stderr: '' })
  const help = run(['--help'])
  assert.equal(help.status, 0)
  assert.equal(help.stderr, '')
  for (const verb of verbs) assert.match(help.stdout, new RegExp(`^  ${verb.name} +\\S`, 'm'))
})

test('usage errors end with status 2, and talk on stderr alone', () => {
  assert.deepEqual(run([]), { status: 2, stdout: '', stderr: 'bindery: no verb given\nbindery: hint: bindery --help lists them\n' })
  assert.deepEqual(run(['instal']), {
    status: 2,
    stdout: '',
    stderr: "bindery: no verb 'instal'\nbindery: hint: did you mean 'install'?\n",
  })
  assert.deepEqual(run(['-q', '-v', 'list']), { status: 2, stdout: '', stderr: 'bindery: list: -q and -v exclude each other\n' })
  assert.equal(run(['list', '--no-such-flag']).status, 2)
})

test('a reader that goes away is no failure', () => {
  const done = spawnSync('bash', ['-c', `'${resolve('bin/bindery')}' scan /usr/include | head -1; echo \${PIPESTATUS[0]}`], {
    encoding: 'utf8',
  })
  assert.match(done.stdout, /\n0\n$/)
  assert.equal(done.stderr, '')
})

test('an output that cannot be written is an error, in one line', { skip: !existsSync('/dev/full') && 'no /dev/full here' }, () => {
  for (const words of ['--help', 'scan /usr/include']) {
    const done = spawnSync('sh', ['-c', `'${resolve('bin/bindery')}' ${words} >/dev/full`], { encoding: 'utf8' })
    assert.match(done.stderr, /^bindery: (scan: )?standard output: no space left\n$/)
    assert.equal(done.status, 1)
  }
})

test('a current directory that was removed is an error, in one line', () => {
  for (const words of ['scan .', '-C mnt list', 'diff . /usr']) {
    const inside = `cd "$(mktemp -d)" && rmdir "$PWD" && exec '${resolve('bin/bindery')}' ${words}`
    const done = spawnSync('bash', ['-c', inside], { encoding: 'utf8' })
    // Some shells have a word of their own to say at the start of the launcher.
    const own = done.stderr.split('\n').filter((line) => !/getcwd/.test(line))
    assert.match(own.join('\n'), /^bindery: \w+: [.\w]+: [a-z ]+\n$/, words)
    assert.equal(done.status, 1)
  }
})

for (const verb of everyThird(verbs, 0))
  test(`${verb.name}: --help shows usage, flags and examples`, async () => {
    const help = run([verb.name, '--help'])
    assert.equal(help.status, 0)
    assert.equal(help.stdout, commandHelp(await verb.load()))
  })

for (const verb of verbs) {
  test(`${verb.name}: its module is of that name, and has a summary and examples`, async () => {
    const command = await verb.load()
    assert.equal(command.name, verb.name)
    assert.equal(command.summary, verb.summary)
    assert.doesNotMatch(command.summary, /\.$/)
    for (const example of command.examples) assert.match(example, new RegExp(`\\bbindery .*\\b${verb.name}\\b`))
  })

  test(`${verb.name}: options have lower-case names, a letter at most, and a help without a full stop`, async () => {
    for (const [name, option] of Object.entries((await verb.load()).options)) {
      assert.match(name, /^[a-z][a-z0-9-]*$/)
      if (option.short !== undefined) assert.match(option.short, /^[A-Za-z0-9]$/)
      assert.doesNotMatch(option.help, /\.$/)
      if (option.kind !== 'flag') assert.match(option.value, /^[A-Z0-9]/)
    }
  })
}

test('every code has its documented exit status', () => {
  const statuses = (Object.keys(exitStatusOf) as ErrorCode[]).map((code) => exitStatusOf[code])
  assert.deepEqual(
    [...new Set<number>(statuses)].sort((a, b) => a - b),
    [1, 2, 3, 4, 5],
  )
})

test('names and texts of others reach no terminal as they are', () => {
  const { stderr } = run(['\u001b[2J\u009b\u202e\nnext'])
  assert.equal(stderr, "bindery: no verb '?[2J?? next'\nbindery: hint: bindery --help lists the verbs\n")
})
