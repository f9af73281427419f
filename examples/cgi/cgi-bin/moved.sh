#!/bin/sh
# A local redirect (RFC 3875 section 6.2.2): the server answers with the other path's response, and the client never knows.
printf 'Location: /notes/models\r\n\r\n'
