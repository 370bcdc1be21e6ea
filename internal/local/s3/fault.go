package s3

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"loradeck/internal/lora"
)

// fault is an answer of S3 that is not the one hoped for, in S3's own words
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
type fault struct {
	code    string
	status  int
	message string
	facts   []fact // what the answer tells beside the message
}

// fact is one more element of an error's document.
type fact struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func newFault(code string, status int, message string) *fault {
	return &fault{code: code, status: status, message: message}
}

// Is makes a fault with another message equal to the one it was made from.
func (f *fault) Is(other error) bool {
	var o *fault
	return errors.As(other, &o) && o.code == f.code
}

// saying gives the same fault with a message for the case at hand.
func (f *fault) saying(format string, args ...any) *fault {
	return &fault{code: f.code, status: f.status, message: fmt.Sprintf(format, args...)}
}

// with gives the same fault with one more fact.
func (f *fault) with(name, value string) *fault {
	more := *f
	more.facts = append(slices.Clone(f.facts), fact{xml.Name{Local: name}, value})
	return &more
}

var (
	errAccessDenied           = newFault("AccessDenied", 403, "Access Denied")
	errAccessForbidden        = newFault("AccessForbidden", 403, "CORSResponse: CORS is not enabled for this bucket.")
	errMalformedAuthorization = newFault("AuthorizationHeaderMalformed", 400, "The authorization header is malformed; the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	errQueryParameters        = newFault("AuthorizationQueryParametersError", 400, "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
	errSkewed                 = newFault("RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large.")
	errSignature              = newFault("SignatureDoesNotMatch", 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method.")
	errBadDigest              = newFault("BadDigest", 400, "The Content-MD5 you specified did not match what we received.")
	errBadRequest             = newFault("BadRequest", 400, "Bad Request")
	errBucketNotEmpty         = newFault("BucketNotEmpty", 409, "The bucket you tried to delete is not empty")
	errBucketOwned            = newFault("BucketAlreadyOwnedByYou", 409, "Your previous request to create the named bucket succeeded and you already own it.")
	errEntityTooLarge         = newFault("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size")
	errEntityTooSmall         = newFault("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size")
	errIllegalLocation        = newFault("IllegalLocationConstraintException", 400, "")
	errIncompleteBody         = newFault("IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header.")
	errInternal               = newFault("InternalError", 500, "We encountered an internal error. Please try again.")
	errDiskFull               = errInternal.saying("The disk that the local platform keeps objects on is full. Free some space and send the request again.")
	errInvalidArgument        = newFault("InvalidArgument", 400, "Invalid Argument")
	errInvalidBucketOwner     = newFault("InvalidBucketOwnerAWSAccountID", 400, "The value of the expected bucket owner parameter must be an AWS account ID.")
	errInvalidBucketName      = newFault("InvalidBucketName", 400, "The specified bucket is not valid.")
	errInvalidChunkSize       = newFault("InvalidChunkSizeError", 403, "Only the last chunk is allowed to have a size less than 8192 bytes")
	errInvalidDigest          = newFault("InvalidDigest", 400, "The Content-MD5 you specified was invalid.")
	errInvalidPart            = newFault("InvalidPart", 400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.")
	errInvalidPartNumber      = newFault("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
	errInvalidPartOrder       = newFault("InvalidPartOrder", 400, "The list of parts was not in ascending order. Parts must be ordered by part number.")
	errInvalidRange           = newFault("InvalidRange", 416, "The requested range is not satisfiable")
	errInvalidRequest         = newFault("InvalidRequest", 400, "Invalid Request")
	errInvalidURI             = newFault("InvalidURI", 400, "Couldn't parse the specified URI.")
	errKeyTooLong             = newFault("KeyTooLongError", 400, "Your key is too long")
	errMalformedTrailer       = newFault("MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform to our published schema.")
	errMalformedXML           = newFault("MalformedXML", 400, "The XML you provided was not well-formed or did not validate against our published schema")
	errMetadataTooLarge       = newFault("MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size")
	errMethodNotAllowed       = newFault("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
	errMissingLength          = newFault("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
	errNoSuchBucket           = newFault("NoSuchBucket", 404, "The specified bucket does not exist")
	errNoSuchKey              = newFault("NoSuchKey", 404, "The specified key does not exist.")
	errNoSuchUpload           = newFault("NoSuchUpload", 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.")
	errNotImplemented         = newFault("NotImplemented", 501, "A header you provided implies functionality that is not implemented")
	errNotModified            = newFault("NotModified", http.StatusNotModified, "Not Modified")
	errPreconditionFailed     = newFault("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
	errSourceTooLarge         = errInvalidRequest.saying("The specified copy source is larger than the maximum allowable size for a copy source: 5368709120")
	errUnknownAlgorithm       = errInvalidRequest.saying("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
	errSHA256Mismatch         = newFault("XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed.")
)

// forPlatform turns a fault into the error that the rooms beside this one read; other errors pass.
func forPlatform(err error) error {
	var f *fault
	if !errors.As(err, &f) {
		return err
	}
	if f.status == http.StatusNotFound {
		return lora.Wrap(err, lora.NotFound, "%s", f.message)
	}
	return lora.Wrap(err, lora.Invalid, "%s", f.message)
}
