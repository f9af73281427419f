<?php
http_response_code(204);
echo 'nobody sees it';
flush();
