"""What ``--help`` prints: text only, so that asking for help loads nothing."""

RUN_HELP = """\
Train a RecBole model with a negative sampler and test it.
Without any flag: LightGCN on ml-100k (inside RecBole) with BNS.

  --model=NAME            BPR, LightGCN, or another model of RecBole
  --dataset=NAME          ml-100k, or a data set below --data_path=DIR
  --neg_sampler=NAME      bns, bns_plus, dns, srns, aobpr, ahns, rns, pns; none: RecBole's own
  --neg_sampler_args.KEY=VALUE   a parameter of the sampler
  --KEY=VALUE             any setting of RecBole (also written --KEY VALUE)
  --config_files A.yaml B.yaml   settings from files
  --neg_record=True       measure the negatives of every epoch (negatives.csv, items.csv);
                          --neg_record_scores=1,10,50: score histograms at these epochs
  --nproc=N               N processes train together, on the CPU or a GPU each (--gpu_id=0,1);
                          train_batch_size stays a step's batch, which they share
  --out=DIR               folder for all that the run writes (default: runs/...)
  --result_file=PATH      write result.json there too
  --resume=auto|DIR       go on with the newest unfinished run of these settings, or the one in DIR

examples:
  recbole-bns run --model=BPR --neg_sampler=dns --epochs=30 --seed=7
  recbole-bns run --neg_sampler_args.candidate_num=10 --learning_rate=0.005
  recbole-bns run --dataset=ml-1m --data_path=DATA --neg_sampler=srns
recbole-bns samplers lists the samplers with their parameters."""

PREPARE_HELP = """\
Write RecBole's atomic files from the original files of a data set.

  recbole-bns tune          search hyper-parameters with Ray Tune (tune --help)
  recbole-bns prepare NAME --from PATH

  NAME          ml-100k       u.data, u.user
                ml-1m         ratings.dat, users.dat
                yahoo-r3      ydata-ymusic-rating-study-v1_0-train.txt and -test.txt
                ml-100k-bns   the BNS authors' split: *train*.csv, *test*.csv
                ml-1m-ahns    the AHNS authors' split: *train*.txt, *test*.txt
  --from PATH   the folder of these files, the first of them, or a zip archive
  --out DIR     folder of data sets (default: dataset); NAME/ appears in it
  --overwrite   replace the files of an earlier run

example: recbole-bns prepare ml-1m --from ml-1m.zip"""

COMPARE_HELP = """\
Train samplers side by side, each with several seeds, and write tables with paired tests.

  --model=NAME, --dataset=NAME, --config_files, --KEY=VALUE   as in run, for all samplers
  --samplers=A,B,C        which (default: all)
  --SAMPLER.KEY=VALUE     a parameter of one sampler: --dns.candidate_num=10
  --variants=FILE.yaml    more rows, several of one sampler:
                          hard: {neg_sampler: dns, neg_sampler_args: {candidate_num: 20}}
                          or another model: EASE: {neg_sampler: none, model: EASE}
  --seeds=N               seeds 1 to N (default 5), or a list: --seeds=3,7,9
  --reference=NAME        what the others are tested against (default: rns, or the first)
  --metrics, --topk       default: Recall, Precision, NDCG at 5, 10, 20
  --record                measure the negatives of all runs, as run --neg_record=True does
  --jobs=N                runs at once (default: one a core; one on a GPU)
  --out=DIR               default: runs/compare-DATASET-MODEL

Every finished run is kept in DIR/runs; the same command goes on where it was stopped, and
tries failed runs again. DIR/compare.md, .csv and .json hold the tables.
Exit status: 0; 1 where a run failed; 2 for bad input; 130 after Ctrl-C.

examples:
  recbole-bns compare --model=BPR --samplers=rns,dns,bns --seeds=3 --epochs=30
  recbole-bns compare --dataset=ml-1m --data_path=DATA --dns.candidate_num=10 --jobs=2"""

TUNE_HELP = """\
Search hyper-parameters with Ray Tune: trials are compared on validation data, bad ones are
stopped early (ASHA), the winner is trained again and tested once.

  --model, --dataset, --neg_sampler, --config_files, --KEY=VALUE   as in run, for all trials
  --num_samples=N         trials (default 20); a grid runs whole and once
  --sweep=FILE.yaml       a space of your own (default: properties/sweep/SAMPLER.yaml):
                          learning_rate: {loguniform: [0.001, 0.1]}
                          neg_sampler_args.candidate_num: {choice: [1, 3, 5]}
                          kinds: choice, grid, uniform, loguniform, quniform, randint
  --search=random         random, grid (of the choices), optuna
  --scheduler=asha        asha, none
  --metric=NDCG@20        what trials are compared by
  --epochs=N              of a trial at the most (default 100)
  --time_budget=30m       begin nothing new after it
  --cpus_per_trial=1, --gpus_per_trial=0.5, --max_concurrent=N
  --address=auto          a running Ray cluster; --storage_path=PATH that its machines share
  --out=DIR               for everything written (default: runs/tune-DATASET-MODEL-SAMPLER)
  --resume                go on with the sweep in DIR

DIR/best.yaml is for --config_files, DIR/trials.csv has a line a trial, DIR/tune.md the tables.
Exit status: 0; 1 where no trial got to a result; 2 for bad input; 130 after Ctrl-C.

examples:
  recbole-bns tune --model=BPR --neg_sampler=dns --num_samples=10 --epochs=30
  recbole-bns tune --resume --out=runs/tune-ml-100k-BPR-dns"""

REPORT_HELP = """\
Write a page that shows what runs did: metrics, learning curves, and of recorded runs
(--neg_record=True) the quality of their negatives. It opens offline in any browser.

  recbole-bns report RUN_DIR [RUN_DIR ...]

  RUN_DIR       a folder of recbole-bns run, of compare, or of tune, or one that has such below
                it (.): runs with other settings get other rows, other data other tables
  --out FILE    the page (default: report.html)
  --png DIR     the figures as files too; needs pip install 'recbole-bns[plot]'

example: recbole-bns report runs/compare-ml-100k-BPR --out report.html"""

MAIN_HELP = """\
recbole-bns: negative samplers for RecBole.

  recbole-bns run [FLAGS]   train and test a model (run --help)
  recbole-bns compare       samplers side by side, over seeds (compare --help)
  recbole-bns tune          search hyper-parameters with Ray Tune (tune --help)
  recbole-bns report DIR    a page of what runs did (report --help)
  recbole-bns predict       recommendations of a trained model (predict --help)
  recbole-bns export        its vectors of users and items (export --help)
  recbole-bns prepare NAME  data files from their originals (prepare --help)
  recbole-bns samplers      the samplers, their parameters and papers
  recbole-bns doctor        versions, mends of the host, devices

example: recbole-bns run --model=LightGCN --dataset=ml-100k --neg_sampler=bns"""
