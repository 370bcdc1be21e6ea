// Package vllm puts a vLLM server that runs already into the place of a base component's container: requests of the platform
// go to it over HTTP, and its answers come back as they are.
//
// A vLLM with the routes of the SageMaker image is spoken to by them: POST and DELETE /adapters, and /invocations with the
// adapter's header. One without them is asked through its own /v1 routes, with the adapter in the request's "model"; sessions
// are not to be had then. Adapters are given to it as directories, so it must see the platform's files: on the same host, or
// on a mount at Server.There.
//
// A vLLM that was restarted has forgotten its adapters. The first request for one of them registers it again, as the platform
// does itself when it restarts.
//
// It knows no SageMaker resource, no bucket and no archive, and starts and stops no server. The key that a server asks for is
// sent to that server only, never along a redirect, and never logged.
package vllm
