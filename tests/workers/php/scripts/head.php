<?php
header('Content-Length: 5');
echo '12345';
