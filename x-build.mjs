import { build } from 'esbuild'
await build({
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node22.15',
  entryPoints: ['src/x-entry.ts'],
  outfile: '/tmp/h6-x/dist/client.cjs',
  define: { 'import.meta.url': '__filename' },
})
