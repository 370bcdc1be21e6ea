package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"loradeck/internal/hook"
	"loradeck/internal/local"
	"loradeck/internal/local/sagemaker"
	"loradeck/internal/lora"
)

// options are what the user asks for, by flag or by environment; a flag wins.
type options struct {
	command string // "", "local", "push", "health", "version", "help"
	push    pushOptions

	addr        string
	localAddr   string // "none" for no local platform
	data        string
	account     string // the local platform's account
	region      string // and its region
	pace        sagemaker.Pace
	models      []local.Base // of --local-model
	servers     []local.Base // of --local-vllm
	vllmKey     string       // for all of those
	aws         []awsPlace
	hosts       []string
	tokenFile   string
	makeToken   bool
	tlsCert     string
	tlsKey      string
	behindProxy bool

	webhook           string
	webhookSecretFile string
	webhookSecret     hook.Secret // of the environment; the file's wins

	uploadBudget int64         // bytes
	uploadKeep   time.Duration // after the last byte
}

const usage = `Loradeck: see, ship, prove and compare LoRA adapters that share one base model.

Usage
  loradeck [flags]          the dashboard, with the local platform
  loradeck local [flags]    the local platform alone, for other AWS clients
  loradeck push PATH --adapter NAME --base NAME [flags]
                            send an adapter to a running dashboard and deploy it
  loradeck health [flags]   exit 0 when the dashboard at --addr answers
  loradeck version          print the version

Flags (each may be set in the environment by the name on its right)
  --addr HOST:PORT         dashboard, 127.0.0.1:8080; port 0 takes a free one      LORADECK_ADDR
  --local-addr HOST:PORT   local platform, 127.0.0.1:8090; "none" turns it off     LORADECK_LOCAL_ADDR
  --data DIR               everything it keeps, ./data                             LORADECK_DATA
  --upload-budget SIZE     what adapters may take on disk, 100GB                   LORADECK_UPLOAD_BUDGET
  --upload-keep TIME       how long an unfinished upload is kept, 48h              LORADECK_UPLOAD_KEEP
  --aws REGION[,profile=P][,endpoint=URL][,name=N]   an AWS place, repeatable      LORADECK_AWS, with ; between
  --local-account ID       account of the local platform, 000000000000             LORADECK_LOCAL_ACCOUNT
  --local-region REGION    its region, us-east-1                                   LORADECK_LOCAL_REGION
  --local-pace PACE        how long its changes of state take: "instant", or       LORADECK_LOCAL_PACE
                           "realistic", the minutes that SageMaker takes

Bases of your own on the local platform; repeatable, ; between them in the environment
  --local-model NAME=DIR   a Hugging Face folder, run by the built-in engine       LORADECK_LOCAL_MODEL
  --local-vllm NAME=URL[,model=DIR][,seen=DIR][,rank=N]                            LORADECK_LOCAL_VLLM
                           a vLLM that runs; its API key, when it has one          LORADECK_LOCAL_VLLM_KEY
                           model: folder with its config.json and tokenizer, when vLLM's own is not on this host
                           seen: where it sees DATA/local/containers, when it runs in a container
                           rank: its --max-lora-rank, when that is not 16
  The base is called NAME-base. One that was taken down, or failed, is made again at the next start that names it;
  a start that does not name it leaves it as it is. Files of a folder are copied once, and again when they changed
  while the base is down.

A dashboard that others can reach needs all three of
  --token-file FILE        one "name role token" line a person; roles are          LORADECK_TOKEN_FILE
                           watch, ship and admin
  --tls-cert, --tls-key    certificate and key (PEM) or instead                    LORADECK_TLS_CERT, LORADECK_TLS_KEY
  --behind-proxy           TLS ends at a proxy in front of it                      LORADECK_BEHIND_PROXY=true
  --host NAME[,NAME…]      the names browsers use for it                           LORADECK_HOST
and may have
  --make-token             make the token file at first start, with one admin      LORADECK_MAKE_TOKEN=true

Others can be told how jobs end (Standard Webhooks)
  --webhook URL            where signed events go: https, or http on this machine  LORADECK_WEBHOOK
  --webhook-secret-file FILE
                           holds whsec_BASE64, readable by its owner only; or      LORADECK_WEBHOOK_SECRET_FILE
                           the secret itself, which is never a flag's value        LORADECK_WEBHOOK_SECRET

loradeck push takes a folder, a .zip or a .tar.gz, and goes on where it stopped when
it is run again. Its flags
  --adapter NAME           what the adapter is called
  --base NAME              the base component it goes on
  --place NAME             where that is, when several places have one of that name
  --tenant NAME            whose it is, "default"
  --component NAME         of the component to make, ADAPTER-vN-BASE
  --url URL                the dashboard, http://127.0.0.1:8080                    LORADECK_URL
  --token TOKEN            yours in its token file; none on loopback               LORADECK_TOKEN
  --wait                   wait for the proof
  --json                   print one JSON object at the end
and its exit status: 0 proven (without --wait: accepted), 1 refused by the check,
2 wrong usage or no connection, 3 failed, 4 no effect, 5 unclear, 130 stopped

When ready the dashboard prints its addresses on stdout, and everything else as log lines on stderr.
`

var errHelp = errors.New("help was asked for")

// parseOptions reads the command line and the environment. Its errors are of kind lora.Invalid and say what to change.
func parseOptions(args []string, getenv func(string) string) (options, error) {
	var o options
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		o.command, args = args[0], args[1:]
	}
	switch o.command {
	case "", "local", "health", "version":
	case "push":
		var err error
		o.push, err = parsePush(args, getenv)
		return o, err
	case "help":
		return o, errHelp
	default:
		return o, lora.Errorf(lora.Invalid, "There is no command %q. The commands are local, push, health and version; loradeck --help shows them.", o.command)
	}

	set := flag.NewFlagSet("loradeck", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	env := func(name, fallback string) string {
		if v := getenv("LORADECK_" + name); v != "" {
			return v
		}
		return fallback
	}
	var hosts, budget, keep, pace string
	var problem error
	yes := func(name string) bool {
		switch strings.ToLower(env(name, "false")) {
		case "true", "1":
			return true
		case "false", "0":
			return false
		}
		problem = lora.Errorf(lora.Invalid, "LORADECK_%s is %q; use true or false.", name, getenv("LORADECK_"+name))
		return false
	}
	aws := awsFlags(&o.aws)
	if v := env("AWS", ""); v != "" {
		for one := range strings.SplitSeq(v, ";") {
			if err := aws.Set(one); err != nil {
				return o, err
			}
		}
		aws.fresh = true // the flag, when given, wins over the environment
	}
	set.Var(aws, "aws", "")
	for _, f := range []struct {
		*baseFlags
		variable string
	}{
		{&baseFlags{flag: "--local-model", read: readModel, bases: &o.models}, "LOCAL_MODEL"},
		{&baseFlags{flag: "--local-vllm", read: readVLLM, bases: &o.servers}, "LOCAL_VLLM"},
	} {
		if err := f.fromEnvironment(env(f.variable, "")); err != nil {
			return o, err
		}
		set.Var(f, strings.TrimPrefix(f.flag, "--"), "")
	}
	o.vllmKey = env("LOCAL_VLLM_KEY", "")
	set.StringVar(&o.addr, "addr", env("ADDR", "127.0.0.1:8080"), "")
	set.StringVar(&o.localAddr, "local-addr", env("LOCAL_ADDR", "127.0.0.1:8090"), "")
	set.StringVar(&o.data, "data", env("DATA", "./data"), "")
	set.StringVar(&budget, "upload-budget", env("UPLOAD_BUDGET", "100GB"), "")
	set.StringVar(&keep, "upload-keep", env("UPLOAD_KEEP", "48h"), "")
	set.StringVar(&o.account, "local-account", env("LOCAL_ACCOUNT", "000000000000"), "")
	set.StringVar(&o.region, "local-region", env("LOCAL_REGION", "us-east-1"), "")
	set.StringVar(&pace, "local-pace", env("LOCAL_PACE", "instant"), "")
	set.StringVar(&hosts, "host", env("HOST", ""), "")
	set.StringVar(&o.tokenFile, "token-file", env("TOKEN_FILE", ""), "")
	set.BoolVar(&o.makeToken, "make-token", yes("MAKE_TOKEN"), "")
	set.StringVar(&o.tlsCert, "tls-cert", env("TLS_CERT", ""), "")
	set.StringVar(&o.tlsKey, "tls-key", env("TLS_KEY", ""), "")
	set.BoolVar(&o.behindProxy, "behind-proxy", yes("BEHIND_PROXY"), "")
	set.StringVar(&o.webhook, "webhook", env("WEBHOOK", ""), "")
	set.StringVar(&o.webhookSecretFile, "webhook-secret-file", env("WEBHOOK_SECRET_FILE", ""), "")
	if secret := env("WEBHOOK_SECRET", ""); secret != "" && problem == nil {
		o.webhookSecret, problem = hook.ParseSecret(secret)
	}
	if problem != nil {
		return o, problem
	}
	if err := set.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, errHelp
	} else if err != nil {
		return o, lora.Wrap(err, lora.Invalid, "%s. loradeck --help lists the flags.", strings.TrimSuffix(sentence(err.Error()), "."))
	}
	if set.NArg() > 0 {
		return o, lora.Errorf(lora.Invalid, "Nothing is done with %q. loradeck --help shows the usage.", strings.Join(set.Args(), " "))
	}
	for host := range strings.SplitSeq(hosts, ",") {
		if host = strings.ToLower(strings.TrimSpace(host)); host != "" {
			o.hosts = append(o.hosts, host)
		}
	}
	if err := o.readUploads(budget, keep); err != nil {
		return o, err
	}
	var err error
	if o.pace, err = sagemaker.ParsePace(pace); err != nil {
		return o, lora.Wrap(err, lora.Invalid, "--local-pace is %q; use %s.", pace, strings.Join(sagemaker.Paces(), " or "))
	}
	return o, o.check()
}

// readUploads reads the bounds of uploads.
func (o *options) readUploads(budget, keep string) error {
	number, unit := budget, int64(1)
	for _, u := range []struct {
		suffix string
		size   int64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}} {
		if rest, found := strings.CutSuffix(strings.ToUpper(budget), u.suffix); found {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	size, err := strconv.ParseFloat(number, 64)
	if err != nil || size <= 0 || size*float64(unit) > 1<<60 {
		return lora.Errorf(lora.Invalid, "--upload-budget is %q; give a size like 100GB.", budget)
	}
	o.uploadBudget = int64(size * float64(unit))
	if o.uploadKeep, err = time.ParseDuration(keep); err != nil || o.uploadKeep < time.Minute {
		return lora.Errorf(lora.Invalid, "--upload-keep is %q; give a time of a minute or more, like 48h.", keep)
	}
	return nil
}

var (
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	regionForm  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]+$`)
	hostForm    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
)

func (o options) check() error {
	for _, address := range []struct{ flag, value string }{{"--addr", o.addr}, {"--local-addr", o.localAddr}} {
		if address.flag == "--local-addr" && address.value == "none" {
			continue
		}
		if _, port, err := net.SplitHostPort(address.value); err != nil || port == "" {
			return lora.Errorf(lora.Invalid, "%s is %q; it needs a host and a port, like 127.0.0.1:8080.", address.flag, address.value)
		}
	}
	switch {
	case o.data == "":
		return lora.Errorf(lora.Invalid, "--data is empty; name the folder that keeps everything, like ./data.")
	case !accountForm.MatchString(o.account):
		return lora.Errorf(lora.Invalid, "--local-account is %q; an AWS account has twelve digits.", o.account)
	case !regionForm.MatchString(o.region):
		return lora.Errorf(lora.Invalid, "--local-region is %q; use the form of AWS regions, like us-east-1.", o.region)
	case (o.tlsCert == "") != (o.tlsKey == ""):
		return lora.Errorf(lora.Invalid, "--tls-cert and --tls-key go together; one of them is missing.")
	case o.tlsCert != "" && o.behindProxy:
		return lora.Errorf(lora.Invalid, "--tls-cert and --behind-proxy exclude each other: either this program ends TLS or the proxy does.")
	case o.makeToken && o.tokenFile == "":
		return lora.Errorf(lora.Invalid, "--make-token needs --token-file, the file to make.")
	case o.localAddr == "none" && len(o.models)+len(o.servers) > 0:
		return lora.Errorf(lora.Invalid, "--local-model and --local-vllm need the local platform, which --local-addr none turns off.")
	case o.vllmKey != "" && len(o.servers) == 0:
		return lora.Errorf(lora.Invalid, "LORADECK_LOCAL_VLLM_KEY needs --local-vllm, the server that it is for.")
	case o.command == "local" && o.localAddr == "none":
		return lora.Errorf(lora.Invalid, "loradeck local with --local-addr none would run nothing; give it an address.")
	}
	for _, host := range o.hosts {
		if !hostForm.MatchString(host) {
			return lora.Errorf(lora.Invalid, "--host has %q; give host names without scheme or port, like deck.example.com.", host)
		}
	}
	if o.command != "" {
		return nil
	}
	if err := o.checkWebhook(); err != nil || loopback(o.addr) {
		return err
	}
	var missing []string
	if o.tokenFile == "" {
		missing = append(missing, "--token-file")
	}
	if o.tlsCert == "" && !o.behindProxy {
		missing = append(missing, "TLS (--tls-cert and --tls-key) or --behind-proxy")
	}
	if len(o.hosts) == 0 {
		missing = append(missing, "--host with the names browsers use")
	}
	if len(missing) > 0 {
		return lora.Errorf(lora.Invalid, "Others can reach %s, so the dashboard will not start there without %s. On 127.0.0.1 none of this is needed.", o.addr, strings.Join(missing, ", "))
	}
	return nil
}

func (o options) checkWebhook() error {
	switch {
	case o.webhook == "" && o.webhookSecretFile == "":
		return nil
	case o.webhook == "":
		return lora.Errorf(lora.Invalid, "--webhook-secret-file needs --webhook, the address that events go to.")
	case o.webhookSecretFile == "" && !o.webhookSecret.Given():
		return lora.Errorf(lora.Invalid, "--webhook needs a secret to sign with. Name its file with --webhook-secret-file, or set LORADECK_WEBHOOK_SECRET.")
	}
	return hook.CheckURL(o.webhook)
}

// loopback reports whether only this machine can reach a listener on addr.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// sentence gives text a capital letter.
func sentence(text string) string {
	return string(bytes.ToUpper([]byte(text[:1]))) + text[1:]
}

func printUsage(w io.Writer) { fmt.Fprint(w, usage) }
