//go:build versitygw

package versitygw

import "regexp"

// differences gives the reason for each, and so who is right: of a step by its name, or of one fact wherever it comes, after a
// star and without numbers. "The model" is botocore's of S3, with its documentation; "the guide" is the Amazon S3 user guide.
var differences = map[string]string{
	"*: header X-Amz-Storage-Class": "ours: the model says that S3 sends it for all objects but those of class STANDARD",
	"*: header X-Amz-Object-Size":   "ours: the model has it of a PUT only for objects that were appended to, in directory buckets",
	"*: header X-Amz-Bucket-Arn":    "ours: the model has it of CreateBucket for directory buckets alone",

	"*: element ListPartsResult/Owner/ID":                           "ours: the model lists the owner of parts; the gateway leaves it empty",
	"*: element ListPartsResult/Initiator/ID":                       "ours: the model lists who began the upload; the gateway leaves it empty",
	"*: element ListMultipartUploadsResult/Upload/Owner/ID":         "ours: as for parts",
	"*: element ListMultipartUploadsResult/Upload/Initiator/ID":     "ours: as for parts",
	"*: element ListPartsResult/ChecksumAlgorithm":                  "ours: of an upload that chose no algorithm theirs says \"null\", which is none of the model's enum",
	"*: element ListPartsResult/ChecksumType":                       "ours: as for the algorithm",
	"*: element ListBucketResult/EncodingType":                      "ours: the model has the encoding that was asked for in the answer; the gateway leaves it out (and encodes nothing)",
	"*: element ListMultipartUploadsResult/EncodingType":            "ours: as for objects",
	"*: element ListBucketResult/ContinuationToken":                 "ours: the model has it if a token was sent; theirs repeats start-after",
	"*: element GetObjectAttributesResponse/ObjectParts/PartsCount": "ours: the model has the number of parts of an object that was uploaded in parts; the gateway keeps no parts",

	"create it again":                         "ours: CreateBucket's documentation has 200 for one's own bucket in us-east-1, and 409 elsewhere",
	"create one in another region":            "ours: eu-west-1 is a location, only not this endpoint's; InvalidLocationConstraint is for one that does not exist",
	"get what came with a trailer":            "ours: the guide says that aws-chunked is not stored as the object's encoding",
	"last bytes of an empty object":           "ours: no byte of an empty object can be asked for (RFC 9110 §14.1.2); what S3 does is not documented",
	"get if modified since future":            "ours: RFC 9110 §13.1.3 compares any date; theirs passes over those to come, as RFC 2616 did. What S3 does is not documented",
	"get if range wrong":                      "ours: RFC 9110 §13.1.5; the gateway does not know If-Range, and what S3 does is not documented",
	"put if match any":                        "ours: the model takes an ETag alone here, and unlike DeleteObject's no star; the gateway compares it as an ETag",
	"delete if match and absent":              "ours: what was to match is not there, and the guide has 404 for it; theirs deletes nothing with success",
	"list list-type=2&encoding-type=x":        "ours: the model's enum has url alone",
	"list list-type=2&continuation-token=%21": "ours: S3 takes only tokens that it gave; theirs are keys",
	"list list-type=3":                        "ours: there are two lists",
	"copy if none match":                      "ours: CopyObject's documentation has 412 for every condition that fails",
	"copy if absent and there":                "ours: the model's CopyObject has IfNoneMatch; the gateway passes over it and writes",
	"copied part of an open range":            "ours: UploadPartCopy's documentation wants both ends",
	"list parts":                              "ours: the part that theirs has more is the one of an open range",
	"list parts behind":                       "ours: the part that theirs has more is the one of an open range",
	"list no parts":                           "ours: none were asked for; theirs takes 0 for no limit. The model begins at 1",
	"list no uploads":                         "ours: none were asked for; theirs takes 0 for no limit. The model begins at 1",
	"complete in the wrong order":             "ours: EntityTooSmall is for parts that are in order and too small; theirs looks at sizes first",
	"complete again":                          "ours: the same answer as the first, sums too; theirs forgets them",
	"complete the whole":                      "ours: the guide wants no sums of single parts where the sum is of the whole object",
	"head the completed whole":                "ours: theirs did not complete it",
	"attributes of the completed with sums":   "ours: the model lists parts that have sums; the gateway keeps no parts",
	"delete many quietly":                     "ours: the model answers only errors then; the gateway passes over Quiet",
	"delete none":                             "ours: the model requires Objects",
	"delete with no XML":                      "ours: that is what MalformedXML is for",
	"delete an empty key":                     "ours: the model wants one letter at least",
	"versioning":                              "theirs: we refuse what we do not do, reading it too; S3 answers that it was never switched on",
	"tagging":                                 "theirs: as for versioning; S3 answers no tags",
	"policy":                                  "theirs: as for versioning; S3 answers NoSuchBucketPolicy",
}

var number = regexp.MustCompile(`\[\d+\]`)

// reason gives why a fact of a step differs, and the name under which that is listed; both are "" for what is not listed.
func reason(one, fact string) (why, name string) {
	for _, name := range []string{one, "*: " + number.ReplaceAllString(fact, "")} {
		if why := differences[name]; why != "" {
			return why, name
		}
	}
	return "", ""
}
