// Prints the suite's verdicts as JSON: summary.mjs SUITE RESULTS. Runs in node, over the suite's own modules.
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [suite, file] = process.argv.slice(2)
const load = name => import(pathToFileURL(path.resolve(suite, name)))
const tests = (await load('tests/index.mjs')).default
const { determineTestResult, resultTypes } = await load('test-engine/lib/results.mjs')
const results = JSON.parse(fs.readFileSync(file, 'utf8'))
const words = new Map(Object.entries(resultTypes).map(([word, type]) => [type, word]))
const verdicts = []
for (const group of tests) {
  for (const test of group.tests) {
    if (test.browser_only) continue
    verdicts.push({
      group: group.id,
      id: test.id,
      name: test.name,
      kind: test.kind ?? 'required',
      verdict: words.get(determineTestResult(tests, test.id, results)),
      said: results[test.id] === true ? '' : String((results[test.id] ?? ['', ''])[1])
    })
  }
}
console.log(JSON.stringify(verdicts))
