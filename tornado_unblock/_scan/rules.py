"""What blocks, as data: rules by path, packages that are quiet, and telling names.

`tornado_unblock._scan.table` says how a rule is read.
"""

from __future__ import annotations

import re
import sys

RULES = """
# --- kinds of objects that many libraries share
dbapi.connection().execute          database -> dbapi.cursor()
dbapi.connection().executemany      database -> dbapi.cursor()
dbapi.connection().executescript    database -> dbapi.cursor()
dbapi.connection().query            database
dbapi.connection().commit           database
dbapi.connection().rollback         database
dbapi.connection().ping             database
dbapi.connection().select_db        database
dbapi.connection().begin            database
dbapi.connection().store_result     database
dbapi.connection().__exit__         database
dbapi.connection().cursor           = dbapi.new_cursor
dbapi.connection().__enter__()      = dbapi.connection()
dbapi.new_cursor()                  = dbapi.cursor()
dbapi.cursor().execute              database -> dbapi.cursor()
dbapi.cursor().executemany          database
dbapi.cursor().callproc             database
dbapi.cursor().fetchone             database
dbapi.cursor().fetchall             database
dbapi.cursor().fetchmany            database
dbapi.cursor().copy_from            database
dbapi.cursor().copy_to              database
dbapi.cursor().copy_expert          database
dbapi.cursor().nextset              database
dbapi.cursor().__iter__             database
dbapi.cursor().__enter__()          = dbapi.cursor()
dbapi.cursor().connection           = dbapi.connection()
dbapi.pool().connection             database -> dbapi.connection()
dbapi.pool().getconn                database -> dbapi.connection()
dbapi.pool().get_connection         database -> dbapi.connection()
dbapi.pool().acquire                database -> dbapi.connection()
dbapi.pool().connect                database -> dbapi.connection()
dbapi.pool().dedicated_connection   database -> dbapi.connection()
torndb.connection().query           database
torndb.connection().get             database
torndb.connection().iter            database
torndb.connection().execute*        database
torndb.connection().insert*         database
torndb.connection().update*         database
torndb.connection().reconnect       database
SA.scoped().remove                  -
SA.scoped().configure               -
SA.scoped().query_property          = SA.query_property
SA.query_property()                 = SA.query()
SA.scoped()()                       = SA.session()
SA.scoped().*                       = SA.session().*
SA.maker()                          = SA.makes()
SA.makes().configure                -
SA.makes()()                        = SA.session()
SA.makes().begin()                  = SA.session()
SA.session().query                  = SA.new_query
SA.new_query()                      = SA.query()
SA.session().execute                database -> SA.result()
SA.session().scalar                 database
SA.session().scalars                database -> SA.result()
SA.session().get                    database
SA.session().get_one                database
SA.session().commit                 database
SA.session().rollback               database
SA.session().flush                  database
SA.session().merge                  database
SA.session().refresh                database
SA.session().bulk_save_objects      database
SA.session().bulk_insert_mappings   database
SA.session().bulk_update_mappings   database
SA.session().connection             database -> SA.connection()
SA.session().begin().__exit__       database
SA.session().begin()                = SA.session().begin()
SA.session().__enter__()            = SA.session()
SA.query().all                      database
SA.query().first                    database
SA.query().first_or_404             database
SA.query().one                      database
SA.query().one_or_none              database
SA.query().scalar                   database
SA.query().count                    database
SA.query().get                      database
SA.query().get_or_404               database
SA.query().paginate                 database
SA.query().update                   database
SA.query().delete                   database
SA.query().exists                   -
SA.query().__iter__                 database
SA.query()[]                        database
SA.query().*()                      = SA.query()
SA.result().*                       -
SA.engine().connect                 database -> SA.connection()
SA.engine().begin                   database -> SA.connection()
SA.engine().raw_connection          database -> dbapi.connection()
SA.engine().execute                 database -> SA.result()
SA.engine().scalar                  database
SA.connection().execute             database -> SA.result()
SA.connection().exec_driver_sql     database -> SA.result()
SA.connection().scalar              database
SA.connection().scalars             database
SA.connection().commit              database
SA.connection().rollback            database
SA.connection().__enter__()         = SA.connection()
mongo.node().*                      = mongo.node()
mongo.node()[]                      = mongo.node()
mongo.node()()                      = mongo.node()
mongo.node().insert                   database
mongo.node().insert_one               database
mongo.node().insert_many              database
mongo.node().update                   database
mongo.node().update_one               database
mongo.node().update_many              database
mongo.node().replace_one              database
mongo.node().remove                   database
mongo.node().delete_one               database
mongo.node().delete_many              database
mongo.node().save                     database
mongo.node().find_one                 database
mongo.node().find_one_and_update      database
mongo.node().find_one_and_replace     database
mongo.node().find_one_and_delete      database
mongo.node().find_and_modify          database
mongo.node().aggregate                database
mongo.node().count                    database
mongo.node().count_documents          database
mongo.node().estimated_document_count database
mongo.node().distinct                 database
mongo.node().map_reduce               database
mongo.node().group                    database
mongo.node().bulk_write               database
mongo.node().create_index             database
mongo.node().ensure_index             database
mongo.node().drop                     database
mongo.node().drop_index               database
mongo.node().rename                   database
mongo.node().command                  database
mongo.node().eval                     database
mongo.node().list_collection_names    database
mongo.node().collection_names         database
mongo.node().list_database_names      database
mongo.node().database_names           database
mongo.node().drop_collection          database
mongo.node().drop_database            database
mongo.node().server_info              database
mongo.node().watch                    database
mongo.node().authenticate             database
mongo.node().find                   = mongo.find
mongo.find()                        = mongo.cursor()
mongo.cursor().__iter__             database
mongo.cursor()[]                    database
mongo.cursor().count                database
mongo.cursor().distinct             database
mongo.cursor().next                 database
mongo.cursor().*()                  = mongo.cursor()
redis.client().pipeline             = redis.new_pipe
redis.new_pipe()                    = redis.pipe()
redis.client().pubsub               = redis.new_pubsub
redis.client().lock                 = redis.new_lock
redis.client().register_script      -
redis.client().close                -
redis.client().connection_pool      -
redis.client().*                    network
redis.pipe().execute                network
redis.pipe().*()                    = redis.pipe()
redis.pipe().__enter__()            = redis.pipe()
redis.pipe()                        = redis.pipe()
redis.new_pubsub().get_message      network
redis.new_pubsub().listen           network
redis.new_pubsub().subscribe        network
redis.new_lock().acquire            network
redis.new_lock().__enter__          network

# --- databases
pymysql.connect                     database -> dbapi.connection()
pymysql.Connect                     database -> dbapi.connection()
pymysql.Connection                  database -> dbapi.connection()
pymysql.connections.Connection      database -> dbapi.connection()
MySQLdb.connect                     database -> dbapi.connection()
MySQLdb.Connect                     database -> dbapi.connection()
MySQLdb.connections.Connection      database -> dbapi.connection()
_mysql.connect                      database -> dbapi.connection()
mysql.connector.connect             database -> dbapi.connection()
mysql.connector.pooling.MySQLConnectionPool() = dbapi.pool()
oursql.connect                      database -> dbapi.connection()
psycopg2.connect                    database -> dbapi.connection()
psycopg2.pool.*()                   = dbapi.pool()
psycopg2.extras.execute_values      database
psycopg2.extras.execute_batch       database
psycopg.connect                     database -> dbapi.connection()
psycopg.Connection.connect          database -> dbapi.connection()
psycopg_pool.ConnectionPool()       = dbapi.pool()
pg8000.connect                      database -> dbapi.connection()
sqlite3.connect                     database -> dbapi.connection()
pysqlite2.dbapi2.connect            database -> dbapi.connection()
apsw.Connection                     database -> dbapi.connection()
cx_Oracle.connect                   database -> dbapi.connection()
cx_Oracle.Connection                database -> dbapi.connection()
cx_Oracle.SessionPool()             = dbapi.pool()
oracledb.connect                    database -> dbapi.connection()
oracledb.create_pool()              = dbapi.pool()
pyodbc.connect                      database -> dbapi.connection()
pymssql.connect                     database -> dbapi.connection()
pymssql._mssql.connect              database
ibm_db.*                            database
phoenixdb.connect                   database -> dbapi.connection()
pyhive.*.connect                    database -> dbapi.connection()
impala.dbapi.connect                database -> dbapi.connection()
snowflake.connector.connect         database -> dbapi.connection()
clickhouse_driver.Client().execute* database
clickhouse_driver.connect           database -> dbapi.connection()
clickhouse_connect.get_client       database -> dbapi.connection()
DBUtils.PooledDB.PooledDB()         = dbapi.pool()
DBUtils.PersistentDB.PersistentDB() = dbapi.pool()
DBUtils.SteadyDB.connect            database -> dbapi.connection()
dbutils.pooled_db.PooledDB()        = dbapi.pool()
dbutils.persistent_db.PersistentDB() = dbapi.pool()
dbutils.steady_db.connect           database -> dbapi.connection()
torndb.Connection()                 = torndb.connection()
torndb_for_python3.Connection()     = torndb.connection()
tornado.database.Connection()       = torndb.connection()
tornado_mysql.**                    -
web.database().*                    database
records.Database().*                database
dataset.connect                     database -> dataset.db()
dataset.db()[].*                    database
dataset.db().query                  database
sqlalchemy.create_engine()          = SA.engine()
sqlalchemy.engine_from_config()     = SA.engine()
sqlalchemy.engine.create_engine()   = SA.engine()
sqlalchemy.orm.sessionmaker()       = SA.makes()
sqlalchemy.orm.create_session()     = SA.session()
sqlalchemy.orm.session.sessionmaker() = SA.makes()
sqlalchemy.orm.Session()            = SA.session()
sqlalchemy.orm.session.Session()    = SA.session()
sqlalchemy.orm.scoped_session()     = SA.scoped()
sqlalchemy.orm.scoping.scoped_session() = SA.scoped()
sqlalchemy.orm.Query()              = SA.query()
sqlalchemy.ext.asyncio.**           -
sqlalchemy.ext.declarative.declarative_base() = SA.base
sqlalchemy.orm.declarative_base()   = SA.base
sqlalchemy.engine.Engine()          = SA.engine()
sqlalchemy.engine.Connection()      = SA.connection()
flask_sqlalchemy.SQLAlchemy().session = SA.scoped()
flask_sqlalchemy.SQLAlchemy().Model = SA.model
tornado_sqlalchemy.make_session_factory() = SA.makes()
tornado_sqlalchemy.SQLAlchemy().Model = SA.model
tornado_sqlalchemy.SessionMixin().make_session() = SA.session()
tornado_sqlalchemy.SessionMixin().session = SA.session()
SA.model.query                      = SA.query()
sqlmodel.Session()                  = SA.session()
sqlmodel.create_engine()            = SA.engine()
peewee.Model.get*                   database
peewee.Model.create                 database
peewee.Model.insert_many()          = peewee.query()
peewee.Model.create_table           database
peewee.Model.select()               = peewee.query()
peewee.Model.insert()               = peewee.query()
peewee.Model.update()               = peewee.query()
peewee.Model.delete()               = peewee.query()
peewee.Model.raw()                  = peewee.query()
peewee.Model.__iter__               database
peewee.Model().save                 database
peewee.Model().delete_instance      database
peewee.query().execute              database
peewee.query().get                  database
peewee.query().get_or_none          database
peewee.query().first                database
peewee.query().count                database
peewee.query().exists               database
peewee.query().scalar               database
peewee.query().__iter__             database
peewee.query()[]                    database
peewee.query().*()                  = peewee.query()
peewee.*Database().connect          database
peewee.*Database().execute_sql      database -> dbapi.cursor()
peewee.*Database().atomic().__enter__ database
playhouse.pool.*().connect          database
playhouse.pool.*().execute_sql      database
mongoengine.connect                 database
mongoengine.*Document.objects       = mongoengine.query()
mongoengine.*Document().save        database
mongoengine.*Document().delete      database
mongoengine.*Document().update      database
mongoengine.*Document().reload      database
mongoengine.query()()               = mongoengine.query()
mongoengine.query().first           database
mongoengine.query().get             database
mongoengine.query().count           database
mongoengine.query().update*         database
mongoengine.query().insert          database
mongoengine.query().delete          database
mongoengine.query().__iter__        database
mongoengine.query()[]               database
mongoengine.query().*()             = mongoengine.query()
django.db.models.Model.objects      = django.query()
django.db.models.Model().save       database
django.db.models.Model().delete     database
django.db.connection                = dbapi.connection()
django.query().get                  database
django.query().get_or_create        database
django.query().update_or_create     database
django.query().create               database
django.query().bulk_create          database
django.query().count                database
django.query().exists               database
django.query().first                database
django.query().last                 database
django.query().update               database
django.query().delete               database
django.query().aggregate            database
django.query().__iter__             database
django.query()[]                    database
django.query().*()                  = django.query()
django.contrib.auth.models.User.objects = django.query()
django.contrib.auth.authenticate    database
django.shortcuts.get_object_or_404  database
pony.orm.select()                   = pony.query()
pony.orm.commit                     database
pony.orm.get                        database
pony.query().__iter__               database
pony.query()[]                      database
pony.query().*                      database
pymongo.MongoClient()               = mongo.node()
pymongo.Connection()                = mongo.node()
pymongo.ReplicaSetConnection()      = mongo.node()
pymongo.MongoReplicaSetClient()     = mongo.node()
pymongo.mongo_client.MongoClient()  = mongo.node()
pymongo.database.Database()         = mongo.node()
pymongo.collection.Collection()     = mongo.node()
gridfs.GridFS().*                   database
gridfs.GridFSBucket().*             database
motor.**                            -
asyncmongo.**                       -
redis.Redis()                       = redis.client()
redis.StrictRedis()                 = redis.client()
redis.client.Redis()                = redis.client()
redis.client.StrictRedis()          = redis.client()
redis.from_url()                    = redis.client()
redis.Redis.from_url()              = redis.client()
redis.StrictRedis.from_url()        = redis.client()
redis.RedisCluster()                = redis.client()
redis.cluster.RedisCluster()        = redis.client()
redis.sentinel.Sentinel().master_for() = redis.client()
redis.sentinel.Sentinel().slave_for() = redis.client()
redis.sentinel.Sentinel().discover_* network
redis.asyncio.**                    -
rediscluster.*()                    = redis.client()
fakeredis.*()                       = redis.client()
memcache.Client().*                 network
pylibmc.Client().*                  network
bmemcached.Client().*               network
pymemcache.client.base.Client().*   network
pymemcache.Client().*               network
pymemcache.client.hash.HashClient().* network
cassandra.cluster.Cluster().connect database -> cassandra.session()
cassandra.session().execute         database
cassandra.session().prepare         database
cassandra.session().execute_async().result database
pycassa.**                          database
happybase.Connection().**           database
elasticsearch.Elasticsearch().indices.* network
elasticsearch.Elasticsearch().cluster.* network
elasticsearch.Elasticsearch().cat.* network
elasticsearch.Elasticsearch().*     network
elasticsearch.helpers.*             network
elasticsearch_dsl.Search().execute  network
elasticsearch_dsl.Search().count    network
elasticsearch_dsl.Search().__iter__ network
elasticsearch_dsl.Search().*()      = elasticsearch_dsl.Search()
opensearchpy.OpenSearch().**        network
pyes.ES().*                         network
pysolr.Solr().*                     network
influxdb.InfluxDBClient().*         network
influxdb_client.InfluxDBClient().*.* network
neo4j.GraphDatabase.driver().session().run database
neo4j.GraphDatabase.driver().session().*_transaction database
py2neo.Graph().*                    database
couchdb.Server()                    = couch.node()
couch.node().**                     database
couch.node()[]                      database -> couch.node()
rethinkdb.**                        database
rethinkdb.RethinkDB().**            database
pyarango.**                         database
leveldb.LevelDB().*                 database
plyvel.DB().*                       database
pandas.read_*                       file
pandas.DataFrame().to_*             file
pandas.DataFrame().to_sql           database

# --- the network
requests.get                        network
requests.post                       network
requests.put                        network
requests.patch                      network
requests.delete                     network
requests.head                       network
requests.options                    network
requests.request                    network
requests.?                          network
requests.api.*                      network
requests.Session()                  = requests.session()
requests.sessions.Session()         = requests.session()
requests.session().get              network
requests.session().post             network
requests.session().put              network
requests.session().patch            network
requests.session().delete           network
requests.session().head             network
requests.session().options          network
requests.session().request          network
requests.session().send             network
requests.session().?                network
requests.session().__enter__()      = requests.session()
requests_oauthlib.OAuth*Session()   = requests.session()
requests_futures.sessions.FuturesSession().*().result network
cachecontrol.CacheControl()         = requests.session()
httpx.get                           network
httpx.post                          network
httpx.put                           network
httpx.patch                         network
httpx.delete                        network
httpx.head                          network
httpx.request                       network
httpx.stream                        network
httpx.?                             network
httpx.Client().__enter__()          = httpx.Client()
httpx.Client().close                -
httpx.Client().*                    network
urllib.request.urlopen              network
urllib.request.urlretrieve          network
urllib.request.build_opener().open  network
urllib.request.OpenerDirector().open network
urllib.urlopen                      network
urllib.urlretrieve                  network
urllib2.urlopen                     network
urllib2.build_opener().open         network
urllib3.request                     network
urllib3.PoolManager().*request*     network
urllib3.PoolManager().urlopen       network
urllib3.*ConnectionPool().*request* network
urllib3.*ConnectionPool().urlopen   network
urllib3.connection_from_url().*request* network
http.client.HTTP*Connection().request network
http.client.HTTP*Connection().getresponse network
http.client.HTTP*Connection().connect network
httplib.HTTP*Connection().request   network
httplib.HTTP*Connection().getresponse network
httplib2.Http().request             network
pycurl.Curl().perform               network
tornado.httpclient.HTTPClient().fetch network
tornado.curl_httpclient.HTTPClient().fetch network
six.moves.urllib.request.urlopen    network
treq.**                             -
boto.connect_*()                    = aws.node()
boto.*.connect_to_region()          = aws.node()
boto.*.connection.*()               = aws.node()
boto3.client()                      = aws.node()
boto3.resource()                    = aws.node()
boto3.session.Session().client()    = aws.node()
boto3.session.Session().resource()  = aws.node()
boto3.Session().client()            = aws.node()
boto3.Session().resource()          = aws.node()
aws.node().generate_presigned_url   -
aws.node().meta                     -
aws.node().exceptions               -
aws.node().*                        network -> aws.node()
aws.node().Bucket                   = aws.new
aws.node().Object                   = aws.new
aws.node().Table                    = aws.new
aws.node().Queue                    = aws.new
aws.node().get_paginator            = aws.new
aws.new()                           = aws.part()
aws.part().*                        network -> aws.part()
aws.part().Object                   = aws.new
aws.part().paginate().__iter__      network
aws.part().paginate                 -
google.cloud.*.Client()             = gcloud.node()
gcloud.node().bucket                = gcloud.new
gcloud.node().collection            = gcloud.new
gcloud.new()                        = gcloud.part()
gcloud.node().*                     network -> gcloud.part()
gcloud.part().blob                  = gcloud.new
gcloud.part().document              = gcloud.new
gcloud.part().name                  -
gcloud.part().*                     network
googleapiclient.discovery.build     network -> gapi.node()
gapi.node().execute                 network
gapi.node().*()                     = gapi.node()
oss2.Bucket().*                     network
qiniu.BucketManager().*             network
qiniu.put_*                         network
minio.Minio().*                     network
swiftclient.**                      network
azure.storage.blob.*().*            network
stripe.*.create                     network
stripe.*.retrieve                   network
stripe.*.modify                     network
stripe.*.list                       network
twilio.rest.Client().messages.create network
twilio.rest.TwilioRestClient().messages.create network
slackclient.SlackClient().api_call  network
slack_sdk.WebClient().*             network
telegram.Bot().*                    network
tweepy.API().*                      network
facebook.GraphAPI().*               network
github.Github().*                   network
gitlab.Gitlab().**                  network
jira.JIRA                           network -> jira.client()
jira.client().*                     network
jenkins.Jenkins().*                 network
consul.Consul().*.*                 network
etcd.Client().*                     network
kazoo.client.KazooClient().*        network
hvac.Client().**                    network
docker.from_env()                   = docker.client()
docker.Client().*                   network
docker.DockerClient()               = docker.client()
docker.APIClient().*                network
docker.client().*.*                 network
kubernetes.client.*Api().*          network
xmlrpclib.ServerProxy()             = rpc.node()
xmlrpclib.Server()                  = rpc.node()
xmlrpc.client.ServerProxy()         = rpc.node()
jsonrpclib.Server()                 = rpc.node()
rpc.node().**                       network
suds.client.Client().service.*      network
zeep.Client().service.*             network
Pyro4.Proxy().*                     network
rpyc.connect                        network
zerorpc.Client().*                  network
thrift.transport.TSocket.TSocket().open network
grpc.insecure_channel               -
pika.BlockingConnection             network -> pika.connection()
pika.adapters.blocking_connection.BlockingConnection network -> pika.connection()
pika.connection().channel           network -> pika.channel()
pika.channel().*                    network
kombu.Connection().**               network
kafka.KafkaProducer().flush         network
kafka.KafkaProducer().send().get    network
kafka.KafkaConsumer().poll          network
kafka.KafkaConsumer().__iter__      network
confluent_kafka.Producer().flush    network
stomp.Connection().send             network
nsq.**                              -
beanstalkc.Connection().*           network
gearman.GearmanClient().*           network
rq.Queue().enqueue*                 network
celery.Celery().send_task           network
celery.Celery().control.*           network
celery.Celery().control.inspect     network -> celery.inspect()
celery.inspect().*                  network
celery.Celery().connection          -
celery.Celery().AsyncResult().get   wait
celery.task().delay                 network -> celery.result()
celery.task().apply_async           network -> celery.result()
celery.task().apply                 wait
celery.result().get                 wait
celery.result().wait                wait
celery.result.AsyncResult().get     wait
celery.result.AsyncResult().ready   network
celery.execute.send_task            network
ldap.initialize()                   = ldap.client()
ldap.open()                         = ldap.client()
ldap.client().set_option            -
ldap.client().*                     network
ldap3.Connection().*                network
paramiko.SSHClient().connect        network
paramiko.SSHClient().exec_command   network
paramiko.SSHClient().open_sftp      network -> paramiko.sftp()
paramiko.SSHClient().set_missing_host_key_policy -
paramiko.SFTPClient.from_transport  network -> paramiko.sftp()
paramiko.Transport().connect        network
paramiko.sftp().*                   network
fabric.api.run                      network
fabric.Connection().*               network
pexpect.spawn().*                   process
pexpect.run                         process
telnetlib.Telnet().*                network
telnetlib.Telnet                    network
ftplib.FTP().*                      network
ftplib.FTP_TLS().*                  network
smtplib.SMTP                        mail -> smtplib.client()
smtplib.SMTP_SSL                    mail -> smtplib.client()
smtplib.LMTP                        mail -> smtplib.client()
smtplib.client().set_debuglevel     -
smtplib.client().__enter__()        = smtplib.client()
smtplib.client().*                  mail
imaplib.IMAP4*().*                  mail
poplib.POP3*().*                    mail
sendgrid.SendGridAPIClient().**     mail
mailer.Mailer().send                mail
yagmail.SMTP().send                 mail
dns.resolver.*                      dns
socket.gethostbyname*               dns
socket.gethostbyaddr                dns
socket.getaddrinfo                  dns
socket.getnameinfo                  dns
socket.getfqdn                      dns
socket.create_connection            network -> socket.socket()
socket.socket().connect             network
socket.socket().recv*               network
socket.socket().send*               network
socket.socket().accept              network
socket.socket().makefile            -
select.select                       wait
select.poll().poll                  wait
ssl.get_server_certificate          network
websocket.create_connection         network
whois.whois                         network
ntplib.NTPClient().request          network
feedparser.parse                    network
pynsq.**                            -
ping3.*                             network
nmap.PortScanner().scan             process
selenium.webdriver.*().*            network
selenium.webdriver.*                network
wikipedia.*                         network
openai.OpenAI().**                  network
openai.ChatCompletion.create        network
openai.Completion.create            network
anthropic.Anthropic().**            network
hdfs.*Client().*                    network
snakebite.client.Client().*         network
git.Repo.clone_from                 process
git.Repo().git.*                    process
git.Repo().remotes.*.*              process

# --- sleeping, waiting, processes
time.sleep                          sleep
gevent.sleep                        sleep
eventlet.sleep                      sleep
subprocess.call                     process
subprocess.check_call               process
subprocess.check_output             process
subprocess.run                      process
subprocess.getoutput                process
subprocess.getstatusoutput          process
subprocess.Popen                    -
subprocess.Popen().communicate      process
subprocess.Popen().wait             process
subprocess.Popen().stdout.read*     process
subprocess.Popen().stderr.read*     process
subprocess.Popen().stdout.__iter__  process
subprocess.Popen().__exit__         process
os.system                           process
os.popen                            process
os.popen().*                        -
os.popen2                           process
os.popen3                           process
os.wait                             process
os.waitid                           process
os.waitpid                          process
os.wait3                            process
os.wait4                            process
signal.pause                        wait
signal.sigwait*                     wait
os.spawn*                           process
popen2.*                            process
commands.getoutput                  process
commands.getstatusoutput            process
sh.*                                process
envoy.run                           process
psutil.Process().wait               wait
concurrent.futures.*Executor()      = futures.executor()
concurrent.futures.thread.ThreadPoolExecutor() = futures.executor()
concurrent.futures.process.ProcessPoolExecutor() = futures.executor()
concurrent.futures.wait             wait
concurrent.futures.as_completed().__iter__ wait
concurrent.futures.Future().result  wait
futures.executor().submit           = futures.submit
futures.submit()                    = futures.future()
futures.future().result             wait
futures.future().exception          wait
futures.executor().map              = futures.map
futures.map().__iter__              wait
futures.executor().shutdown         wait
futures.executor().__enter__        wait
futures.executor().__enter__()      = futures.executor()
asyncio.run_coroutine_threadsafe().result wait
asyncio.run                         wait
asyncio.get_event_loop().run_until_complete wait
asyncio.new_event_loop().run_until_complete wait
tornado.ioloop.IOLoop.*().run_sync  wait
tornado.ioloop.IOLoop().run_sync    wait
threading.Thread().join             wait
threading.Event().wait              wait
threading.Condition().wait*         wait
threading.Barrier().wait            wait
threading.Lock().acquire            lock
threading.Lock().__enter__          lock
threading.RLock().acquire           lock
threading.RLock().__enter__         lock
threading.Semaphore().acquire       lock
threading.Semaphore().__enter__     lock
threading.BoundedSemaphore().acquire lock
threading.BoundedSemaphore().__enter__ lock
threading.Condition().acquire       lock
threading.Condition().__enter__     lock
multiprocessing.Process().join      wait
multiprocessing.Pool()              = mp.pool()
multiprocessing.pool.*Pool()        = mp.pool()
multiprocessing.dummy.Pool()        = mp.pool()
mp.pool().map                       wait
mp.pool().starmap                   wait
mp.pool().apply                     wait
mp.pool().join                      wait
mp.pool().apply_async().get         wait
mp.pool().map_async().get           wait
mp.pool().__enter__()               = mp.pool()
multiprocessing.Queue().get         wait
multiprocessing.Pipe()[].recv       wait
multiprocessing.Lock().acquire      lock
multiprocessing.Lock().__enter__    lock
queue.*Queue().get                  wait
queue.*Queue().join                 wait
Queue.*Queue().get                  wait
Queue.*Queue().join                 wait
filelock.*Lock().acquire            lock
filelock.*Lock().__enter__          lock
fcntl.flock                         lock
fcntl.lockf                         lock
portalocker.lock                    lock
input                               wait
raw_input                           wait
getpass.getpass                     wait

# --- files
open                                file
file                                file
io.open                             file
codecs.open                         file
os.open                             file
open().__enter__()                  = open()
open().read*                        file
open().write*                       file
open().__iter__                     file
open().*                            -
file()                              = open()
io.open()                           = open()
codecs.open()                       = open()
gzip.open                           file
bz2.open                            file
lzma.open                           file
zipfile.ZipFile                     file
zipfile.ZipFile().extract*          file
zipfile.ZipFile().read              file
zipfile.ZipFile().write*            file
zipfile.ZipFile().__enter__()       = zipfile.ZipFile()
tarfile.open                        file -> tarfile.tar()
tarfile.tar().extract*              file
tarfile.tar().add                   file
shutil.copy*                        file
shutil.move                         file
shutil.rmtree                       file
shutil.make_archive                 file
shutil.unpack_archive               file
os.walk().__iter__                  file
glob.glob                           file
pathlib.Path().read_text            file
pathlib.Path().read_bytes           file
pathlib.Path().write_text           file
pathlib.Path().write_bytes          file
pathlib.Path().open                 file -> open()
pathlib.Path().*()                  = pathlib.Path()
shelve.open                         file
dbm.open                            file
linecache.getline                   file
json.load                           -
pickle.load                         -
csv.reader                          -
xlrd.open_workbook                  file
xlwt.Workbook().save                file
openpyxl.load_workbook              file
openpyxl.Workbook().save            file
xlsxwriter.Workbook().close         file
numpy.load                          file
numpy.save                          file
numpy.loadtxt                       file
joblib.load                         file
torch.load                          file
PIL.Image.open                      file -> PIL.image()
Image.open                          file -> PIL.image()
PIL.image().save                    cpu
PIL.image().resize                  cpu -> PIL.image()
PIL.image().thumbnail               cpu
PIL.image().convert                 cpu -> PIL.image()
PIL.image().*()                     = PIL.image()
wand.image.Image                    cpu
cv2.imread                          file
cv2.imwrite                         file

# --- computing that takes long enough to matter
bcrypt.hashpw                       cpu
bcrypt.checkpw                      cpu
bcrypt.kdf                          cpu
argon2.PasswordHasher().*           cpu
passlib.hash.*.hash                 cpu
passlib.hash.*.encrypt              cpu
passlib.hash.*.verify               cpu
passlib.context.CryptContext().hash cpu
passlib.context.CryptContext().verify cpu
werkzeug.security.check_password_hash cpu
werkzeug.security.generate_password_hash cpu
hashlib.pbkdf2_hmac                 cpu
hashlib.scrypt                      cpu
captcha.image.ImageCaptcha().*      cpu
weasyprint.HTML().write_pdf         cpu
pdfkit.from_*                       process
reportlab.**                        -
matplotlib.pyplot.savefig           cpu

# --- this library's own: they wait in a worker and refuse the loop thread
tornado_unblock.**                  -
"""

#: Packages whose calls do not block, or not unless the table says so.
QUIET = {
    "builtins", "tornado", "asyncio", "six", "future", "__future__", "jinja2", "mako",
    "markdown", "numpy", "scipy", "dateutil", "pytz", "simplejson", "ujson", "orjson",
    "yaml", "lxml", "bs4", "attr", "pydantic", "marshmallow", "wtforms",
    "wtforms_tornado",
    "jwt", "itsdangerous", "arrow", "voluptuous", "cerberus", "jsonschema", "click",
    "concurrent", "momoko", "aiopg", "aiomysql", "aioredis", "aiohttp", "asyncpg",
    "tornadoredis", "toredis", "tornadis", "motorengine", "umongo", "sockjs", "SA",
    "dbapi", "mongo", "sphinx", "pytest", "nose", "mock", "traitlets", "jupyter_core",
    "bleach", "toro", "prometheus_client", "sentry_sdk", "raven", "formencode",
}  # fmt: skip
_OLD_STDLIB = """
abc argparse array ast base64 bisect calendar cgi collections concurrent contextlib copy
csv ctypes datetime decimal email enum functools hashlib heapq hmac html http inspect io
itertools json logging math mimetypes operator os pathlib pickle platform pprint random
re secrets shlex shutil stat string struct sys tempfile textwrap threading time
traceback types typing unittest urllib uuid warnings weakref xml zlib
urlparse cPickle StringIO cStringIO ConfigParser HTMLParser md5 Cookie httplib
"""
QUIET.update(getattr(sys, "stdlib_module_names", ()))  # from Python 3.10 on
QUIET.update(_OLD_STDLIB.split())

#: They wait no longer than they are told to, by a number or a flag.
PATIENT = re.compile(
    r"(threading|[qQ]ueue|multiprocessing|mp|futures|concurrent|filelock|select|time"
    r"|gevent|eventlet|fcntl|psutil)\b.*|subprocess\.Popen\(\)\.\w+|os\.wait\w*"
)
#: What they are told by, where it has a name.
PATIENCE = {"block", "blocking", "timeout", "wait", "secs", "seconds", "timeout_ms"}
AT_ONCE = re.compile(r"\b(LOCK_NB|WNOHANG)\b")

#: Methods that give away what they are called on, whatever it is.
TELLING = {
    "execute": "database", "executemany": "database", "fetchone": "database",
    "fetchall": "database", "fetchmany": "database", "callproc": "database",
    "find_one": "database", "find_one_and_update": "database", "insert_one": "database",
    "insert_many": "database", "update_one": "database", "update_many": "database",
    "delete_one": "database", "delete_many": "database", "bulk_write": "database",
    "count_documents": "database", "executescript": "database",
    "hgetall": "network", "hmset": "network", "hget": "network", "hset": "network",
    "lpush": "network", "rpush": "network", "lrange": "network", "zadd": "network",
    "zrange": "network", "smembers": "network", "sadd": "network", "setex": "network",
    "sendmail": "mail", "urlopen": "network", "check_output": "process",
}  # fmt: skip

#: Methods that tell only together with what they are called on.
HINTED = {
    "commit", "rollback", "query", "get", "set", "save", "delete", "first", "insert",
    "update", "find", "all", "count", "incr", "expire", "flush", "merge", "select",
    "scalar", "exists", "keys", "add_user", "read", "fetch", "refresh", "raw", "iter",
    "insertmany", "execute_rowcount", "execute_lastrowid", "getall", "publish",
}  # fmt: skip
HINTS = re.compile(
    r"(?:^|_)(?:db|conn|connection|cursor|cur|session|dbsession|redis|rds|mongo|mysql|"
    r"postgres|pg|sqlite|database|mdb|rdb|dao|db_?\w{0,8}session)(?:$|_?\d*$)",
    re.IGNORECASE,
)
#: What a session or a connection has that does not wait.
_BRIEF = {"keys", "add_user", "iter", "read", "fetch"}
HINTED -= _BRIEF
