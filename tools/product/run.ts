import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { makeProduct, version } from './tree.ts'

/**
 * make product: bindery itself as a release of the product `bindery`, in .cache/product: the tree, and the dist that `publish` takes.
 * ARGS='--prefix usr --arch amd64 --date 20260101'.
 */
const { values } = parseArgs({
  options: { prefix: { type: 'string', default: 'usr/local' }, arch: { type: 'string', default: 'any' }, date: { type: 'string' } },
})
const [tree, dist] = [resolve('.cache/product/root'), resolve('.cache/product/bindery.tar.zst')]
rmSync(resolve('.cache/product'), { recursive: true, force: true })
makeProduct(tree, { prefix: values.prefix })
const day = values.date === undefined ? [] : ['--date', values.date]
const words = ['cut', tree, '-o', dist, '--product', 'bindery', '--revision', version, '--arch', values.arch, ...day]
execFileSync(resolve('bin/bindery'), words, { stdio: 'inherit' })
process.stdout.write(`${dist}\nbindery publish -r REPO -k KEYS ${dist}\n`)
