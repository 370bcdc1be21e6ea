package templates

// Upload is the page of one upload: what has arrived, what the checks say, and the form that deploys it.
type Upload struct {
	Icons   string
	ID      string
	Title   string // the adapter's name as chosen
	State   State
	Summary string // one sentence, read out when it changes
	Figures []Figure
	Sending bool   // bytes are missing, so the tab that sends shows its controls here
	Done    string // bytes, for a progress element
	Total   string
	Files   []UploadFile
	Refused string    // why it was refused; "" when it was not
	Job     *Link     // the deployment it became
	Anatomy []Figure  // what the adapter is, as far as it can be read
	Checks  *Checks   // nil without a base
	Against string    // the base that the checks speak of
	Gate    Gate      //
	Form    *ShipForm // nil once nothing can be deployed
	Room    string    // how much the spool holds and may hold
	Kept    string    // how long an upload is kept
}

// UploadFile is one file of an upload.
type UploadFile struct {
	State State
	Path  string
	Why   string // why it is left out
	Size  string
}

// Gate says whether the upload can be deployed as chosen, and what would be called.
type Gate struct {
	Icons string
	Open  bool
	Text  string // on the button
	Why   string // why not yet
	Fix   string // id of the finding to mend; "" for none
	Twins Twins
}

// ShipForm is what a person chooses before a deployment.
type ShipForm struct {
	Icons     string
	Action    string
	Deploy    string // address that deploys
	Discard   string // address that discards
	Bases     []BaseChoice
	Adapter   string
	Tenant    string
	Component string
	Proposed  string // the component name that was proposed for these choices
	Version   string // "This will be version 3."
	Wrong     map[string]string
}

// BaseChoice is one base to deploy on.
type BaseChoice struct {
	Value  string
	Name   string
	Where  string
	About  string
	Chosen bool
	Closed bool // it takes no adapters now
}

func (f ShipForm) wrong(field string) string { return f.Wrong[field] }

func (f ShipForm) told(field string) string {
	if f.Wrong[field] != "" {
		return "true"
	}
	return "false"
}

// Uploads is the list of open uploads.
type Uploads struct {
	Icons string
	Rows  []UploadRow
	Room  []Figure
	Kept  string
}

// UploadRow is one open upload.
type UploadRow struct {
	ID      string // of the row
	Href    string
	Name    string
	State   State
	Sent    string
	When    string
	Who     string
	Discard string
}
