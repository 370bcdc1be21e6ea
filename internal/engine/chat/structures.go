package chat

import (
	"errors"
	"fmt"
	"strings"

	"github.com/nikolalohinski/gonja/v2/builtins"
	structures "github.com/nikolalohinski/gonja/v2/builtins/control_structures"
	"github.com/nikolalohinski/gonja/v2/exec"
	"github.com/nikolalohinski/gonja/v2/nodes"
	"github.com/nikolalohinski/gonja/v2/parser"
	"github.com/nikolalohinski/gonja/v2/tokens"
)

// statements are those a chat template may use: none that loads another file, and none whose work cannot be metered.
func (m *meter) statements() *exec.ControlStructureSet {
	known := func(name string) parser.ControlStructureParser {
		parse, _ := builtins.ControlStructures.Get(name)
		return parse
	}
	all := map[string]parser.ControlStructureParser{
		"for": m.parseFor, "set": m.parseSet, "macro": m.parseMacro, "generation": parseGeneration,
	}
	for _, name := range []string{"if", "raw", "break", "continue"} {
		all[name] = known(name)
	}
	for name, parse := range all {
		all[name] = m.nest(parse)
	}
	return exec.NewControlStructureSet(all)
}

// nest bounds how deep statements stand in each other, and looks at the clock whenever one is executed.
func (m *meter) nest(parse parser.ControlStructureParser) parser.ControlStructureParser {
	return func(p, args *parser.Parser) (nodes.ControlStructure, error) {
		m.tick()
		if m.nested++; m.nested > maxDepth {
			return nil, fmt.Errorf("it nests statements more than %d deep", maxDepth)
		}
		defer func() { m.nested-- }()
		statement, err := parse(p, args)
		if err != nil {
			return nil, err
		}
		executable, ok := statement.(exec.ControlStructure)
		if !ok {
			return statement, nil
		}
		return statementFunc{executable, func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
			m.tick()
			return executable.Execute(r, tag)
		}}, nil
	}
}

// statementFunc is a statement that is executed in another way than the node it is made from.
type statementFunc struct {
	nodes.ControlStructure
	execute func(*exec.Renderer, *nodes.ControlStructureBlock) error
}

// Execute does what the function says.
func (s statementFunc) Execute(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
	return s.execute(r, tag)
}

// parseFor makes a loop whose items are counted first.
func (m *meter) parseFor(p, args *parser.Parser) (nodes.ControlStructure, error) {
	const items = "__items__"
	parse, _ := builtins.ControlStructures.Get("for")
	statement, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	loop, ok := statement.(*structures.ForControlStructure)
	if !ok || loop.Recursive {
		return nil, errors.New("recursive loops are not supported")
	}
	over := loop.ObjectEvaluator
	loop.ObjectEvaluator = &nodes.Name{Name: &tokens.Token{Type: tokens.Name, Val: items}}
	return statementFunc{loop, func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
		value := r.Eval(over)
		if value.IsError() {
			return value
		}
		m.measure(value)
		if value.IsIterable() {
			m.loop(value.Len())
		}
		if object, ok := m.object(value); ok && loop.Value == "" {
			value = exec.AsValue(m.ordered.keys(object))
		}
		if value.IsString() { // the library goes over its bytes
			value = exec.AsValue(strings.Split(value.String(), ""))
		}
		r.Environment.Context.Set(items, value)
		return loop.Execute(r, tag)
	}}, nil
}

// parseSet makes an assignment whose variable is measured afterwards.
func (m *meter) parseSet(p, args *parser.Parser) (nodes.ControlStructure, error) {
	target := args.Current(tokens.Name)
	if target == nil {
		return nil, errors.New("set takes a variable")
	}
	measured := func(do func(*exec.Renderer, *nodes.ControlStructureBlock) error) func(*exec.Renderer, *nodes.ControlStructureBlock) error {
		return func(r *exec.Renderer, tag *nodes.ControlStructureBlock) error {
			if err := do(r, tag); err != nil {
				return err
			}
			value, _ := r.Environment.Context.Get(target.Val)
			m.measure(value)
			return nil
		}
	}
	if args.Peek(tokens.EOF) != nil {
		body, _, err := p.WrapUntil("endset")
		if err != nil {
			return nil, err
		}
		return statementFunc{located{target}, measured(func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
			var text strings.Builder
			inner := r.Inherit()
			inner.Output = metered{&text, m}
			if err := inner.ExecuteWrapper(body); err != nil {
				return err
			}
			r.Environment.Context.Set(target.Val, exec.AsSafeValue(text.String()))
			return nil
		})}, nil
	}
	parse, _ := builtins.ControlStructures.Get("set")
	at := p.Current()
	statement, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	assignment, ok := statement.(exec.ControlStructure)
	if !ok || p.Current() != at { // it took a body, whose text would not be counted
		return nil, errors.New("set with a body takes a plain variable")
	}
	return statementFunc{statement, measured(assignment.Execute)}, nil
}

// parseMacro makes a macro whose depth, arguments and text are counted.
func (m *meter) parseMacro(p, args *parser.Parser) (nodes.ControlStructure, error) {
	parse, _ := builtins.ControlStructures.Get("macro")
	statement, err := parse(p, args)
	if err != nil {
		return nil, err
	}
	macro, ok := statement.(*structures.MacroControlStructure)
	if !ok {
		return nil, errors.New("macros are not supported")
	}
	// The macro's own buffer is put behind the meter by a statement at the start of its body.
	count := statementFunc{located{macro.Location}, func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
		r.Output = metered{r.Output, m}
		return nil
	}}
	start := &nodes.ControlStructureBlock{Location: macro.Location, Name: "macro", ControlStructure: count}
	macro.Wrapper.Nodes = append([]nodes.Node{start}, macro.Wrapper.Nodes...)
	return statementFunc{macro, func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
		body, err := exec.MacroNodeToFunc(macro.Macro, r)
		if err != nil {
			return err
		}
		r.Environment.Context.Set(macro.Name, exec.Macro(func(params *exec.VarArgs) *exec.Value {
			defer m.call()()
			m.arguments(params)
			text := body(params)
			m.measure(text)
			return text
		}))
		return nil
	}}, nil
}

// parseGeneration reads transformers' own statement, which marks what the model is trained on; it writes its body as it is.
func parseGeneration(p, _ *parser.Parser) (nodes.ControlStructure, error) {
	at := p.Current()
	body, _, err := p.WrapUntil("endgeneration")
	if err != nil {
		return nil, err
	}
	return statementFunc{located{at}, func(r *exec.Renderer, _ *nodes.ControlStructureBlock) error {
		return r.ExecuteWrapper(body)
	}}, nil
}

// located is a node that has nothing but its place.
type located struct{ at *tokens.Token }

// Position is where it stands.
func (l located) Position() *tokens.Token { return l.at }

// String names it in errors.
func (l located) String() string { return "statement" }
