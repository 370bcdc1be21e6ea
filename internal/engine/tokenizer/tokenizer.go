// Package tokenizer reads Hugging Face tokenizer.json files of the BPE family — byte-level BPE as Llama 3, Qwen2 and GPT-2
// have it, and SentencePiece BPE with byte fallback as Llama 2 and Mistral have it — and gives the ids the official library
// gives.
//
// A step of the file's pipeline that it does not know is an error when the file is read, never a silent wrong split. It
// refuses to know models: WordPiece and Unigram, and every special rule that is not in the file.
package tokenizer

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"loradeck/internal/lora"
)

// Tokenizer turns text into ids and back. It is never changed after Parse and is safe for concurrent use.
type Tokenizer struct {
	tokens  []string       // by id; "" where the file has a hole
	vocab   map[string]int // of the model, without added tokens
	added   map[string]int
	special map[string]bool // by token

	raw, cooked *matcher // added tokens looked for before and after normalisation
	normalizers []func(string) string
	splits      []func([]piece) []piece
	model       model
	before      []int // what the post-processor puts before a text
	after       []int // and after it
	decoders    []func([]string) []string
}

// Open reads a tokenizer.json.
func Open(path string) (*Tokenizer, error) {
	file, err := os.Open(path)
	if err == nil {
		defer file.Close()
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(file, maxFile+1)); err == nil {
			return Parse(text)
		}
	}
	return nil, lora.Wrap(err, lora.Invalid, "tokenizer.json cannot be read. A base needs one beside its config.json.")
}

// Parse reads the bytes of a tokenizer.json. Its errors are of kind Invalid and name what is wrong or not supported.
func Parse(text []byte) (*Tokenizer, error) {
	if len(text) > maxFile {
		return nil, lora.Errorf(lora.Invalid, "tokenizer.json is larger than %d MiB, which no real one is.", maxFile>>20)
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, lora.Wrap(err, lora.Invalid, "tokenizer.json is no JSON of the expected form: %v.", err)
	}
	if err := within(f); err != nil {
		return nil, err
	}
	t := &Tokenizer{vocab: f.Model.Vocab, added: map[string]int{}, special: map[string]bool{}}
	if err := t.readTokens(f); err != nil {
		return nil, err
	}
	if err := t.model.read(f.Model); err != nil {
		return nil, err
	}
	var err error
	if t.normalizers, err = normalizersOf(f.Normalizer); err != nil {
		return nil, err
	}
	t.readAdded(f.AddedTokens)
	if t.splits, err = splitsOf(f.PreTokenizer); err != nil {
		return nil, err
	}
	if err := t.readProcessor(f.PostProcessor); err != nil {
		return nil, err
	}
	if t.decoders, err = decodersOf(f.Decoder); err != nil {
		return nil, err
	}
	return t, nil
}

// unsupported is the error for a part of the pipeline that is not implemented.
func unsupported(part, what string) error {
	return lora.Errorf(lora.Invalid, "tokenizer.json has the %s %s, which this engine does not support.", part, what)
}

// readTokens fills the table of ids.
func (t *Tokenizer) readTokens(f file) error {
	top := -1
	for token, id := range f.Model.Vocab {
		if id < 0 || id > maxID {
			return lora.Errorf(lora.Invalid, "tokenizer.json gives the token %q the id %d, which is out of range.", token, id)
		}
		top = max(top, id)
	}
	added := 0
	for _, token := range f.AddedTokens {
		if token.ID < 0 || token.ID > maxID {
			return lora.Errorf(lora.Invalid, "tokenizer.json gives the added token %q the id %d, which is out of range.", token.Content, token.ID)
		}
		if len(token.Content) > maxAdded {
			return lora.Errorf(lora.Invalid, "tokenizer.json adds the token %d of more than %d bytes, which no real one has.", token.ID, maxAdded)
		}
		if added += len(token.Content); added > maxAllAdded {
			return lora.Errorf(lora.Invalid, "tokenizer.json adds tokens of more than %d bytes in all, which no real one does.", maxAllAdded)
		}
		top = max(top, token.ID)
	}
	t.tokens = make([]string, top+1)
	for token, id := range f.Model.Vocab {
		t.tokens[id] = token
	}
	for _, token := range f.AddedTokens {
		t.tokens[token.ID] = token.Content
	}
	return nil
}

func (t *Tokenizer) readAdded(tokens []addedToken) {
	var raw, cooked []addedToken
	for _, token := range tokens {
		if token.Special {
			t.special[token.Content] = true
		}
		if token.Content == "" {
			continue
		}
		t.added[token.Content] = token.ID
		if token.Normalized {
			token.Content = t.normalize(token.Content)
			t.tokens[token.ID] = token.Content // so the official library decodes it since 0.23, and no longer takes it for special
			cooked = append(cooked, token)
		} else {
			raw = append(raw, token)
		}
	}
	t.raw, t.cooked = newMatcher(raw), newMatcher(cooked)
}

// readProcessor reads what the post-processor puts around a single text.
func (t *Tokenizer) readProcessor(s *step) error {
	if s == nil {
		return nil
	}
	switch s.Type {
	case "Sequence":
		for i := range s.Processors {
			if err := t.readProcessor(&s.Processors[i]); err != nil {
				return err
			}
		}
		return nil
	case "ByteLevel": // moves offsets only
		return nil
	case "TemplateProcessing":
		return t.readTemplate(s)
	}
	return unsupported("post-processor", s.Type)
}

func (t *Tokenizer) readTemplate(s *step) error {
	var items []struct {
		Sequence     *struct{}
		SpecialToken *struct {
			ID string `json:"id"`
		}
	}
	if err := json.Unmarshal(s.Single, &items); err != nil {
		return lora.Wrap(err, lora.Invalid, "tokenizer.json has a post-processor template that cannot be read.")
	}
	side := &t.before
	for _, item := range items {
		switch {
		case item.Sequence != nil:
			side = &t.after
		case item.SpecialToken != nil:
			for _, id := range s.SpecialTokens[item.SpecialToken.ID].IDs {
				if id < 0 || id >= len(t.tokens) {
					return lora.Errorf(lora.Invalid, "tokenizer.json puts the id %d around a text, which no token has.", id)
				}
				*side = append(*side, id)
			}
		}
	}
	return nil
}

// Vocab is one more than the largest id.
func (t *Tokenizer) Vocab() int { return len(t.tokens) }

// Token gives the token of an id as the file writes it, or "" when there is none.
func (t *Tokenizer) Token(id int) string {
	if id < 0 || id >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// ID gives the id of a token as the file writes it.
func (t *Tokenizer) ID(token string) (int, bool) {
	if id, ok := t.added[token]; ok {
		return id, true
	}
	id, ok := t.vocab[token]
	return id, ok
}

// Special reports whether the id is a special token: one that a reader of the text does not see.
func (t *Tokenizer) Special(id int) bool { return t.special[t.Token(id)] }

// Encode gives the ids of a text. With addSpecial the post-processor's tokens (a beginning-of-sequence token, mostly) are
// put around it; text rendered by a chat template has its own and must be encoded without.
func (t *Tokenizer) Encode(text string, addSpecial bool) []int {
	var ids []int
	if addSpecial {
		ids = append(ids, t.before...)
	}
	t.raw.cut(text, func(part string, id, at int) {
		if id >= 0 {
			ids = append(ids, id)
			return
		}
		t.cooked.cut(t.normalize(part), func(part string, id, within int) {
			if id >= 0 {
				ids = append(ids, id)
				return
			}
			pieces := []piece{{text: part, first: at == 0 && within == 0}}
			for _, split := range t.splits {
				pieces = split(pieces)
			}
			for _, p := range pieces {
				ids = t.model.encode(ids, p.text)
			}
		})
	})
	if addSpecial {
		ids = append(ids, t.after...)
	}
	return ids
}

func (t *Tokenizer) normalize(text string) string {
	for _, normalize := range t.normalizers {
		text = normalize(text)
	}
	return text
}

// Decode gives the text of ids, without special tokens when skipSpecial. Ids out of range are left out. Bytes that are no
// UTF-8 become U+FFFD, as the official library has it.
func (t *Tokenizer) Decode(ids []int, skipSpecial bool) string {
	parts := make([]string, 0, len(ids))
	for _, id := range ids {
		if t.decodes(id, skipSpecial) {
			parts = append(parts, t.tokens[id])
		}
	}
	if t.decoders == nil {
		return strings.Join(parts, " ")
	}
	for _, decode := range t.decoders {
		parts = decode(parts)
	}
	return strings.Join(parts, "")
}

// decodes reports whether an id has a part in the text.
func (t *Tokenizer) decodes(id int, skipSpecial bool) bool {
	return id >= 0 && id < len(t.tokens) && !(skipSpecial && t.Special(id))
}

// String says what it is, for logs.
func (t *Tokenizer) String() string {
	return fmt.Sprintf("BPE tokenizer, %d tokens, %d merges", len(t.tokens), len(t.model.merges))
}
