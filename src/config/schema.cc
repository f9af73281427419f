#include "config/schema.h"

#include "config/program_section.h"
#include "config/route_section.h"

namespace fivefold::config {

std::vector<SectionKeys> schema() {
  Faults faults{""};
  std::map<std::string, Position> positions;
  Context context{faults, "/", positions};
  const Node empty;
  std::vector<SectionKeys> sections;
  Server server;
  read_server(empty, server, context, &sections);
  SectionKeys route{"[[route]]", {}};
  read_route(empty, 0, context, &route.keys);
  sections.push_back(std::move(route));
  read_program(empty, "NAME", {}, context, &sections);
  return sections;
}

}  // namespace fivefold::config
