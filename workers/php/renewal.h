#pragma once
// What the engine does around a request, for requests that come while one script runs on: everything that belongs to a
// request is made anew, everything that belongs to the script stays.
namespace fivefold::worker::php {

// After the script's own start: the settings it has changed by now are kept, later changes end with their request.
void remember_settings();
void forget_settings();
// After begin_turn(). false: the body did not become whole.
bool begin_renewed();
// Runs the shutdown functions of the request, sends what is left of the response and lets go of what belonged to the
// request.
void end_renewed();
// When the script has ended, perhaps within a request: php_request_shutdown() will run that one's shutdown functions,
// and then the script's own.
void end_interrupted();

}  // namespace fivefold::worker::php
