import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inTemporary } from '../../helpers/temporary.ts'

/** What a program made of an input. */
export type Answer = { readonly status: number; readonly stdout: Uint8Array; readonly stderr: string }

/**
 * One run of `command`, a line of sh, for each input, whose file is `$1`; all by one shell, since starting a program from here takes
 * longer than most of them. `beside`: files that it may name.
 */
export async function answersOf(
  command: string,
  inputs: readonly Uint8Array[],
  beside: Readonly<Record<string, Uint8Array>> = {},
): Promise<readonly Answer[]> {
  return await inTemporary(async (folder) => {
    for (const [name, bytes] of Object.entries(beside)) writeFileSync(join(folder, name), bytes)
    for (const [i, bytes] of inputs.entries()) writeFileSync(join(folder, String(i)), bytes)
    const one = `(ulimit -f 16384; set -- $i; timeout -k 1 9 ${command}) >$i.out 2>$i.err </dev/null; echo $? >$i.status; i=$((i + 1))`
    execFileSync('sh', ['-c', `i=0; while [ $i -lt ${inputs.length} ]; do ${one}; done`], {
      cwd: folder,
      env: { PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' },
    })
    const file = (name: string): Uint8Array => new Uint8Array(readFileSync(join(folder, name)))
    return inputs.map((_, i) => ({
      status: Number(Buffer.from(file(`${i}.status`)).toString()),
      stdout: file(`${i}.out`),
      stderr: Buffer.from(file(`${i}.err`))
        .toString('latin1')
        .trim(),
    }))
  })
}
