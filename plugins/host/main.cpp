// `host`: the container starts in the host's own network namespace. Nothing is published: it listens on the host's ports.

#include "plugins/host/host.hpp"

int main(int argc, char** argv) { return netctl::cni::run_process(netctl::host::plugin(), argc, argv); }
