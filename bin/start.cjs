// Old enough JavaScript for any Node, so that an old one is told in one line what is needed.
'use strict'
var version = process.versions.node.split('.').map(Number)
if (version[0] < 22 || (version[0] === 22 && version[1] < 15)) {
  process.stderr.write('bindery: Node 22.15 or newer is needed, and this is ' + process.versions.node + '\n')
  process.stderr.write('bindery: hint: set BINDERY_NODE to a newer node\n')
  process.exitCode = 1
} else {
  // While its baseline compiler works in a thread of its own, V8 may wait for itself for ever when the process ends (nodejs/node
  // issue 54918; seen as a patch that had written everything and never came back).
  require('node:v8').setFlagsFromString('--no-concurrent-sparkplug')
  var fs = require('node:fs')
  var path = require('node:path')
  var dist = path.join(__dirname, '..', 'dist')
  require('node:module').enableCompileCache(cacheFolder())
  void import(fs.existsSync(path.join(dist, 'bindery.js')) ? '../dist/bindery.js' : '../dist/bindery-client.js')
}

// Never the shared temporary folder, Node's default: whoever makes it first could feed compiled code to root. Compiled
// code is kept beside the bundle by its owner and by root, elsewhere below the user's own home.
function cacheFolder() {
  var user = process.getuid()
  if (user === 0 || user === fs.statSync(dist).uid) return path.join(dist, '.compile-cache')
  return path.join(process.env.XDG_CACHE_HOME || path.join(require('node:os').homedir(), '.cache'), 'bindery')
}
