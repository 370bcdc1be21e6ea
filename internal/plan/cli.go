package plan

import (
	"fmt"
	"strings"

	"loradeck/internal/lora"
)

// CLI gives the calls as commands of the AWS CLI, version 1 or 2, for a POSIX shell. Members travel as JSON where the command
// takes it, because the CLI reads other arguments that begin with file:// or http:// as addresses to fetch.
func CLI(at lora.Place, calls []Call) string {
	aws := "aws --region " + quoteShell(at.Region)
	if at.Endpoint != "" {
		aws += " --endpoint-url " + quoteShell(at.Endpoint)
	}
	var b strings.Builder
	if at.Local {
		b.WriteString("# any key will do here: AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any\n\n")
	}
	for i, call := range calls {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(comment(i+1, call.Note) + shellStep(aws, call, pause(at.Near)) + "\n")
	}
	return b.String()
}

func shellStep(aws string, c Call, seconds int) string {
	switch {
	case c.Operation == "UploadFile":
		return shellUpload(aws, c)
	case c.Operation == "InvokeEndpoint":
		return shellAsk(aws, c)
	case c.Until == InService:
		return fmt.Sprintf("while sleep %d; status=$(%s \\\n  --query InferenceComponentStatus --output text); [ \"$status\" = Creating ]; do :; done\n", seconds, shellCall(aws, c)) +
			"echo \"$status\""
	case c.Until == Gone:
		return fmt.Sprintf("while sleep %d; told=$(%s 2>&1); do :; done\n", seconds, shellCall(aws, c)) +
			"case $told in *'Could not find'*) echo gone ;; *) echo \"$told\" >&2 ;; esac"
	default:
		return shellCall(aws, c)
	}
}

func shellCall(aws string, c Call) string {
	return aws + " " + c.Service + " " + spell(c.Operation, "-") + " --cli-input-json " + quoteShell(c.Input.JSON())
}

// shellAsk names its members one by one: invoke-endpoint is among the commands that take no JSON, since what it answers goes to
// a file. The body goes through standard input, since the two versions of the CLI read a body among the arguments differently.
func shellAsk(aws string, c Call) string {
	command := "printf %s " + quoteShell(c.Input.Text("Body")) + " |\n  " + aws + " " + c.Service + " " + spell(c.Operation, "-")
	for _, m := range c.Input {
		if text, is := m.Value.(Text); is && m.Name != "Body" {
			command += " \\\n  --" + spell(m.Name, "-") + " " + quoteShell(string(text))
		}
	}
	return command + " \\\n  --body fileb:///dev/stdin /dev/stdout"
}

// shellUpload is of the CLI's own commands for S3, which take no JSON either.
func shellUpload(aws string, c Call) string {
	file := c.Input.Text("Filename")
	if strings.HasPrefix(file, "-") {
		file = "./" + file // else it is read as an option
	}
	to := "s3://" + c.Input.Text("Bucket") + "/" + c.Input.Text("Key")
	command := aws + " s3 cp " + quoteShell(file) + " \\\n  " + quoteShell(to)
	for _, member := range c.Input {
		extra, is := member.Value.(Members)
		if !is {
			continue
		}
		for _, m := range extra {
			command += " \\\n  --" + spell(m.Name, "-") + " "
			if text, is := m.Value.(Text); is {
				command += quoteShell(string(text))
			} else {
				command += quoteShell(literal(quoteJSON).flat(m.Value))
			}
		}
	}
	return command
}
