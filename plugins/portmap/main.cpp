// `portmap`: publishes ports of a container that an earlier plugin of the chain attached.

#include "plugins/portmap/portmap.hpp"

int main(int argc, char** argv) { return netctl::cni::run_process(netctl::portmap::plugin(), argc, argv); }
