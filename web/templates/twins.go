package templates

// Twins are the calls of AWS that a button leads to, as a reader could make them; empty when they are not known.
type Twins struct{ Boto3, CLI string }
