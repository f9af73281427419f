// fivefold-python: the zygote and the workers of Python applications.
#include "channel/zygote.h"
#include "interpreter.h"

int main(int argc, char** argv) {
  fivefold::python::Python python;
  return fivefold::worker::run_zygote(python, argc, argv);
}
