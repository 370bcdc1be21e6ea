// Answers as the official library does. stdin: {"files": {NAME: PATH}, "texts": [TEXT], "ids": {NAME: [[ID]]}}.
// stdout: {NAME: {"texts": [{ids, plain, decoded, skipped}], "ids": [{decoded, skipped}]}}: the ids of a text with and without what
// the post-processor adds, and the text of ids (of a text, those with) with and without special tokens.
import { readFileSync, writeSync } from 'node:fs'
import { Tokenizer } from 'tokenizers'

const asked = JSON.parse(readFileSync(0, 'utf8'))
const answers = {}
for (const [name, path] of Object.entries(asked.files)) {
  const tokenizer = Tokenizer.fromString(readFileSync(path, 'utf8'))
  const encode = async (addSpecialTokens) =>
    (await tokenizer.encodeBatch(asked.texts, { addSpecialTokens })).map((encoding) => encoding.getIds())
  const decode = async (sequences) => {
    const [decoded, skipped] = [await tokenizer.decodeBatch(sequences, false), await tokenizer.decodeBatch(sequences, true)]
    return sequences.map((_, i) => ({ decoded: decoded[i], skipped: skipped[i] }))
  }
  const [ids, plain] = [await encode(true), await encode(false)]
  const texts = (await decode(ids)).map((text, i) => ({ ids: ids[i], plain: plain[i], ...text }))
  answers[name] = { texts, ids: await decode(asked.ids[name] ?? []) }
}
const out = Buffer.from(JSON.stringify(answers))
for (let at = 0; at < out.length; ) at += writeSync(1, out, at)
