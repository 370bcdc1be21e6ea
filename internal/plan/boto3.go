package plan

import (
	"fmt"
	"slices"
	"strings"

	"loradeck/internal/lora"
)

// client gives the name that a service's client has in the program.
func client(service string) string {
	switch service {
	case "sagemaker":
		return "sm"
	case "sagemaker-runtime":
		return "smr"
	default:
		return service
	}
}

// Boto3 gives the calls as a Python program for a place. It runs as it is where the place's credentials are at hand; the
// local platform takes any.
func Boto3(at lora.Place, calls []Call) string {
	var b strings.Builder
	if slices.ContainsFunc(calls, func(c Call) bool { return c.Until != Once }) {
		b.WriteString("import time\n\n")
	}
	b.WriteString("import boto3\n\n")
	place := Members{{"region_name", Text(at.Region)}}
	if at.Endpoint != "" {
		place = append(place, Member{"endpoint_url", Text(at.Endpoint)})
	}
	if at.Local {
		place = append(place, Member{"aws_access_key_id", Text("any")}, Member{"aws_secret_access_key", Text("any")})
	}
	fmt.Fprintf(&b, "place = %s\n", literal(quotePython).write(place, "", len("place = ")))
	var opened []string
	for _, call := range calls {
		if !slices.Contains(opened, call.Service) {
			opened = append(opened, call.Service)
			fmt.Fprintf(&b, "%s = boto3.client(%s, **place)\n", client(call.Service), quotePython(call.Service))
		}
	}
	for i, call := range calls {
		b.WriteString("\n" + comment(i+1, call.Note) + pythonStep(call, pause(at.Near)) + "\n")
	}
	return b.String()
}

// pythonStep is what the program does with a call: only make it, show what it answers, or make it again and again.
func pythonStep(c Call, seconds int) string {
	switch {
	case c.Operation == "InvokeEndpoint":
		return "answer = " + pythonCall(c, "") + "\nprint(answer[\"Body\"].read().decode())"
	case c.Until == InService:
		return fmt.Sprintf("while True:\n  time.sleep(%d)\n  told = %s\n", seconds, pythonCall(c, "  ")) +
			"  if told[\"InferenceComponentStatus\"] == \"Failed\":\n    raise SystemExit(told.get(\"FailureReason\", \"Failed\"))\n" +
			"  if told[\"InferenceComponentStatus\"] == \"InService\":\n    break"
	case c.Until == Gone:
		return fmt.Sprintf("while True:\n  time.sleep(%d)\n  try:\n    told = %s\n", seconds, pythonCall(c, "    ")) +
			"  except sm.exceptions.ClientError as error:\n    if \"Could not find\" not in str(error):\n      raise\n    break\n" +
			"  if told[\"InferenceComponentStatus\"] == \"Failed\":\n    raise SystemExit(told.get(\"FailureReason\", \"Failed\"))"
	default:
		return pythonCall(c, "")
	}
}

// pythonCall is the call alone, each member on a line of its own unless there is only one.
func pythonCall(c Call, indent string) string {
	var arguments []string
	for _, m := range c.Input {
		name := m.Name + "="
		arguments = append(arguments, name+literal(quotePython).write(m.Value, indent+"  ", len(indent)+2+len(name)))
	}
	method := client(c.Service) + "." + spell(c.Operation, "_")
	if len(arguments) == 1 {
		return method + "(" + arguments[0] + ")"
	}
	between := ",\n" + indent + "  "
	return method + "(\n" + indent + "  " + strings.Join(arguments, between) + ",\n" + indent + ")"
}
