package sagemaker

// instance is what a machine has for the copies of components.
type instance struct {
	cores        float64
	memory       int // MB
	accelerators float64
}

func gib(cores float64, memory int, accelerators float64) instance {
	return instance{cores, memory << 10, accelerators}
}

// instances are common types: accelerators from facts/sagemaker-vllm.md §8, cores and memory as EC2 lists the type of that name.
// A type that is not here has room without end. Nor is it known how much of its memory an instance keeps for itself, so all of
// it counts, but where somebody tried: ml.g5.xlarge takes a component of 1,024 MB and refuses one of 4,096 (huggingface/skills#215).
var instances = map[string]instance{
	"ml.m5.large": gib(2, 8, 0), "ml.m5.xlarge": gib(4, 16, 0), "ml.m5.2xlarge": gib(8, 32, 0), "ml.m5.4xlarge": gib(16, 64, 0),
	"ml.m5.12xlarge": gib(48, 192, 0), "ml.m5.24xlarge": gib(96, 384, 0),
	"ml.c5.xlarge": gib(4, 8, 0), "ml.c5.2xlarge": gib(8, 16, 0), "ml.c5.4xlarge": gib(16, 32, 0), "ml.c5.9xlarge": gib(36, 72, 0), "ml.c5.18xlarge": gib(72, 144, 0),
	"ml.g4dn.xlarge": gib(4, 16, 1), "ml.g4dn.2xlarge": gib(8, 32, 1), "ml.g4dn.4xlarge": gib(16, 64, 1), "ml.g4dn.8xlarge": gib(32, 128, 1),
	"ml.g4dn.12xlarge": gib(48, 192, 4), "ml.g4dn.16xlarge": gib(64, 256, 1),
	"ml.g5.xlarge": {4, 4095, 1}, "ml.g5.2xlarge": gib(8, 32, 1), "ml.g5.4xlarge": gib(16, 64, 1), "ml.g5.8xlarge": gib(32, 128, 1),
	"ml.g5.12xlarge": gib(48, 192, 4), "ml.g5.16xlarge": gib(64, 256, 1), "ml.g5.24xlarge": gib(96, 384, 4), "ml.g5.48xlarge": gib(192, 768, 8),
	"ml.g6.xlarge": gib(4, 16, 1), "ml.g6.2xlarge": gib(8, 32, 1), "ml.g6.4xlarge": gib(16, 64, 1), "ml.g6.8xlarge": gib(32, 128, 1),
	"ml.g6.12xlarge": gib(48, 192, 4), "ml.g6.16xlarge": gib(64, 256, 1), "ml.g6.24xlarge": gib(96, 384, 4), "ml.g6.48xlarge": gib(192, 768, 8),
	"ml.g6e.xlarge": gib(4, 32, 1), "ml.g6e.2xlarge": gib(8, 64, 1), "ml.g6e.4xlarge": gib(16, 128, 1), "ml.g6e.8xlarge": gib(32, 256, 1),
	"ml.g6e.12xlarge": gib(48, 384, 4), "ml.g6e.16xlarge": gib(64, 512, 1), "ml.g6e.24xlarge": gib(96, 768, 4), "ml.g6e.48xlarge": gib(192, 1536, 8),
	"ml.p4d.24xlarge": gib(96, 1152, 8), "ml.p4de.24xlarge": gib(96, 1152, 8),
	"ml.p5.4xlarge": gib(16, 256, 1), "ml.p5.48xlarge": gib(192, 2048, 8), "ml.p5e.48xlarge": gib(192, 2048, 8), "ml.p5en.48xlarge": gib(192, 2048, 8),
}
