package templates

import "slices"

// Adapters is the list of adapters.
type Adapters struct {
	Icons string
	Rows  []AdapterRow
	Older string
}

// AdapterRow is one adapter of the list.
type AdapterRow struct {
	Href     string
	Name     string
	About    string
	Tenant   string
	Versions string
	When     string
	States   []State // of its deployments
}

// Adapter is the page of one adapter: where it is, what it is, and what was done with it.
type Adapter struct {
	Icons       string
	Name        string
	Tenant      string
	About       string
	Removed     bool
	Deployments []AdapterDeployment
	Versions    []AdapterVersion // newest first
	Bases       []Option         // to deploy a version on
	Jobs        []JobRow
	AllJobs     string
	Remove      string
}

// AdapterDeployment is one component of an adapter.
type AdapterDeployment struct {
	ID      string
	Name    string
	Version string
	Base    string
	Where   string
	State   State
	Note    string // why its proof no longer counts; "" while it does
	Job     string
	Prove   string // where it is proven again, "" while that is of no use
	Try     string // playground, "" while it is not in service
	Idle    string // why it cannot be asked now though it is in service, and what to do; "" when it can
	Remove  string
}

// AdapterVersion is one immutable content of an adapter. Download and Deploy are "" once its files are gone.
type AdapterVersion struct {
	ID       string
	When     string
	Size     string
	Rank     string
	Alpha    string
	Targets  string
	Digest   string
	Files    []Fact
	Download string
	Deploy   string
}

// anyBase reports whether there is a base to choose.
func (a Adapter) anyBase() bool {
	return slices.ContainsFunc(a.Bases, func(o Option) bool { return !o.Off })
}
