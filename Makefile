# GNU make. Everything runs from a fresh clone: `make demo`, `make test`.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH):/usr/sbin:/sbin
SHELL := bash

.PHONY: help setup build product fixtures test lint typecheck format demo demo-patch demo-farm mutation rehearse rehearse-smoke torture torture-kill torture-errors torture-space torture-power torture-network torture-hostile torture-flips bench bench-smoke bench-delta bench-delta-smoke bench-containers test-runtimes test-shells test-heavy fuzz fuzz-judges fuzz-delta bench-farm bench-dashboard screenshots delta-vectors clean

help: ## show this
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | expand -t 20

setup: ## install what is missing: Debian packages (as root), npm packages
	@tools/setup.sh

build: setup ## bundle src into dist
	@node tools/build.mjs

test: build ## every test; of roads that many shells, tools or servers go, each once
	@node tools/test.mjs

product: build ## bindery itself as a release for a channel; ARGS='--prefix usr --date 20260101'
	@node tools/product/run.ts $(ARGS)

fixtures: build ## a small machine as this version leaves it, into test/fixtures; as root, before a release or when a format of the state is raised
	@node tools/fixtures/run.ts

typecheck: setup ## tsc
	@tsc -p .

lint: typecheck ## oxlint, oxfmt, knip, tsc, the layers, the manual pages
	@oxlint
	@oxfmt --check
	@knip
	@node --test --test-reporter=dot test/layers.test.ts
	@mandoc -T lint -W warning man/*.[1-9]

format: setup ## oxfmt over the tree
	@oxfmt

demo: build ## the whole road on real programs, in a page of output
	@node tools/demo/run.ts

demo-patch: build ## a source patch, captured and shipped to a machine without a compiler; as root
	@node tools/demo-patch/run.ts

demo-farm: build ## commits become signed packages on a mirror, by a controller and two builders; the dashboard at the end
	@node tools/demo-farm/run.ts

# Of the Debian packages that set-up knows it needs this one.
rehearse: ## a Debian system is updated, killed and rolled back under running programs; as root; ARGS='--quick --kills 5'
	@tools/setup.sh procps
	@node tools/build.mjs
	@node tools/rehearse/run.ts $(ARGS)

rehearse-smoke: build ## a slice of it, with three kills
	@node tools/rehearse/run.ts --quick --kills 3

torture: build ## kills, errors, full disks, power cuts, bad mirrors and flipped bits, as one table; as root; hours; ARGS='--only install --slice 20 --turn 3'
	@node test/torture/run.ts $(ARGS)

torture-kill torture-errors torture-space torture-power torture-network torture-hostile torture-flips: torture-%: build ## one part of it (doc/reliability.md); power cuts also ARGS='--fs ext4,xfs,btrfs --images 50', flips ARGS='--count 1000 --seed 7'
	@node test/torture/run.ts $* $(ARGS)

mutation: setup ## the source changed in small ways: which changes no test finds, as one table; ARGS='journal src/base/path.ts --force --jobs 1'
	@node tools/mutation/run.ts $(ARGS)

bench: build ## every benchmark beside its peer, on real trees (fetched once)
	@node bench/run.ts

bench-smoke: build ## every benchmark on small trees: that it works, not how fast
	@node bench/run.ts --smoke

bench-delta: build ## deltas beside those of every peer, on many real pairs; ARGS='--again --only libc' and others
	@node bench/delta/run.ts $(ARGS)

bench-delta-smoke: build ## deltas of three made pairs against the bounds that they have reached
	@node bench/delta/smoke.ts

bench-containers: build ## deltas between packages (.deb, .pbi, .tgz) beside those of the peers; ARGS='--only npm-vue'
	@node bench/delta/containers.ts $(ARGS)

test-runtimes: build ## the client bundle on every supported line of Node
	@node test/runtimes/run.ts

test-heavy: build ## the same with every shell, tool, server and moment: an hour
	@BINDERY_TESTS=heavy node tools/test.mjs

test-shells: build ## of that, bundles and bindery-sh under each of five shells
	@BINDERY_TESTS=heavy node tools/test.mjs test/acceptance/bundle*.test.ts test/acceptance/bindery-sh*.test.ts test/crash/bundle.test.ts

fuzz-delta: setup ## 100,000 damaged deltas: refused, or right; ARGS='--count 1000' and others
	@node test/hostile/fuzz-delta.ts $(ARGS)

fuzz: setup ## decoders under changed samples, for MINUTES=n, as one table; ARGS='--only journal --count 1000 --seed 7'
	@node test/fuzz/run.ts $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

fuzz-judges: setup ## what is taken here, read by tar, bsdtar, mtree, bzip2, xz, gzip, zstd, bspatch, signify and tuf-js, as one table; ARGS='--only tar --count 500'
	@node test/fuzz/second/run.ts $(ARGS)

bench-farm: build ## builds through the queue on both engines, by 50 builders; what a controller costs; ARGS='--builds 10000 --seconds 10'
	@node bench/farm/queue.ts $(ARGS)
	@node bench/farm/controller.ts $(ARGS)

bench-dashboard: build ## the farm's pages over 100,000 builds on both engines; ARGS='--builds 1000'
	@node bench/farm/dashboard.ts $(ARGS)

screenshots: setup ## take the pictures of doc/screenshots anew
	@node tools/screenshots/run.ts

delta-vectors: setup ## write test/vectors/delta.jsonl anew, where the format has changed
	@node tools/delta-vectors/run.ts

clean: ## remove what was built and fetched, but for node_modules
	rm -rf dist .cache bench/results.json bench/results-delta.json
