#pragma once
// Scripts that can be FastCGI applications too (CGI::Fast, the module FCGI) loop until FCGI::Accept fails. In a process
// of their own without FastCGI it gives them one request, then none; so it does here, in each request.

namespace fivefold::perl {

// Whenever modules may have been loaded.
void watch_accept();
// A request begins.
void renew_accept();

}  // namespace fivefold::perl
