// `container-share`: the container starts in the network namespace of another one (Docker's --net=container:NAME).

#include "plugins/container-share/container_share.hpp"

int main(int argc, char** argv) {
  return netctl::cni::run_process(netctl::container_share::plugin(), argc, argv);
}
